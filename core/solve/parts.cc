#include "solve/parts.h"

#include <algorithm>
#include <sstream>

#include "solve/export_attrs.h"
#include "solve/stream.h"

namespace depot::solve {
namespace {

using base::Result;
using base::Status;
using base::usage_error;

bool is_on(const Export& target, const char* key) {
  auto found = target.attrs.find(key);
  return found != target.attrs.end() && is_go_true(found->second);
}

bool is_pushed(const Export& target) {
  return target.type == "image" && is_on(target, "push");
}

std::vector<std::string> split(const std::string& list) {
  std::vector<std::string> out;
  std::istringstream in(list);
  for (std::string one; std::getline(in, one, ',');)
    if (!one.empty()) out.push_back(one);
  return out;
}

// Without tag and digest.
std::string repository_of(const std::string& canonical) {
  std::string name = canonical.substr(0, canonical.find('@'));
  size_t colon = name.rfind(':');
  return colon == std::string::npos || colon < name.rfind('/') ? name : name.substr(0, colon);
}

Status one_machine(const std::string& what, const std::string& why) {
  return usage_error(what + " cannot be made by several machines: " + why)
      .with_hint("push the image, or build all platforms on one machine (--build-platform)");
}

}  // namespace

Status check_divisible(const Request& ready) {
  for (const auto& [id, stream] : ready.uploads) {
    if (!stream->is_regular_file())
      return usage_error("a context that is read once cannot be sent to several machines")
          .with_hint(
              "give a directory or a file, or build all platforms on one machine "
              "(--build-platform)");
  }
  size_t pushed = 0;
  for (const auto& target : ready.exports) {
    if (target.load) return one_machine("an image to load", "each has a part of it");
    if (target.type == "oci" || target.type == "docker" || target.type == "tar")
      return one_machine("an export of type " + target.type, "each has a part of it");
    if (target.type == "local") {
      auto mode = target.attrs.find("mode");
      if (mode != target.attrs.end() && local_mode(mode->second) == "delete")
        return one_machine("an export of type local with mode=delete",
                           "each would delete what the others write");
      if (target.attrs.contains("platform-split") && !is_on(target, "platform-split"))
        return one_machine("an export of type local without a folder for each platform",
                           "all would write the same files");
    }
    if (is_pushed(target)) ++pushed;
  }
  if (pushed > 1) return one_machine("more than one image that is pushed", "one index is made");
  return {};
}

Request part_of(const Request& request, const Request& ready,
                const std::vector<std::string>& platforms) {
  Request part = request;
  std::string list;
  for (const auto& platform : platforms) list += (list.empty() ? "" : ",") + platform;
  part.attrs["platform"] = list;
  part.attrs["multi-platform"] = "true";
  // Images have their names and are pushed as prepare() has it of the whole; nothing is to be
  // added. Where they are saved is known, still, for its login is another one.
  part.part = true;
  part.saved_as = ready.saved_as;
  std::erase_if(part.exports, [](const Export& one) { return one.type == "image"; });
  for (const auto& whole : ready.exports) {
    if (whole.type != "image") continue;
    Export& image = part.exports.emplace_back(whole);
    if (!is_pushed(image)) continue;
    std::vector<std::string> known;
    for (const auto& name : split(image.attrs["name"])) {
      auto canonical = canonical_name(name);
      std::string one = repository_of(canonical.ok() ? *canonical : name);
      if (std::find(known.begin(), known.end(), one) == known.end()) known.push_back(one);
    }
    std::string repositories;
    for (const auto& one : known) repositories += (repositories.empty() ? "" : ",") + one;
    image.attrs["name"] = repositories;
    image.attrs["push-by-digest"] = "true";
  }
  return part;
}

Result<std::optional<JoinedImage>> joined_image(const Request& ready) {
  for (const auto& target : ready.exports) {
    if (!is_pushed(target)) continue;
    JoinedImage image;
    image.attrs = target.attrs;
    image.by_digest = is_on(target, "push-by-digest");
    image.insecure = is_on(target, "registry.insecure");
    auto names = target.attrs.find("name");
    if (names != target.attrs.end()) {
      for (const auto& name : split(names->second)) {
        DEPOT_ASSIGN(std::string canonical, canonical_name(name));
        if (canonical.find('@') != std::string::npos)
          return usage_error("image name '" + name + "' has a digest, and is to be pushed");
        image.names.push_back(std::move(canonical));
      }
    }
    if (image.names.empty())
      return usage_error("a push needs a name").with_hint("give a tag: -t registry/repository:tag");
    return std::optional<JoinedImage>(std::move(image));
  }
  return std::optional<JoinedImage>();
}

}  // namespace depot::solve

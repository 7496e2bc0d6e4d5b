#include "solve/named_context.h"

#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cctype>
#include <cerrno>
#include <filesystem>
#include <utility>

#include "base/id.h"
#include "content/index.h"
#include "content/layout.h"
#include "solve/platform.h"
#include "solve/remote.h"

namespace depot::solve {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;
using base::usage_error;
namespace fs = std::filesystem;

namespace {

constexpr std::string_view kImage = "docker-image://";
constexpr std::string_view kLayout = "oci-layout://";

bool has_control(std::string_view text) {
  return std::any_of(text.begin(), text.end(),
                     [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

Status bad(const std::string& name, const std::string& why) {
  return usage_error("build context '" + name + "': " + why);
}

// "alpine" of "docker.io/library/alpine:latest".
std::string familiar(std::string name) {
  constexpr std::string_view kHub = "docker.io/", kLibrary = "library/", kLatest = ":latest";
  if (name.starts_with(kHub)) {
    name.erase(0, kHub.size());
    if (name.starts_with(kLibrary)) name.erase(0, kLibrary.size());
  }
  if (name.ends_with(kLatest)) name.resize(name.size() - kLatest.size());
  return name;
}

// Whether what follows an "@", which may be part of a path, is meant to be a digest.
bool means_digest(std::string_view text) {
  size_t colon = text.find(':');
  if (colon == std::string_view::npos) return false;
  auto hex = text.substr(colon + 1);
  return text.starts_with("sha256:") || text.starts_with("sha512:") ||
         (hex.size() >= 32 && hex.find_first_not_of("0123456789abcdefABCDEF") == hex.npos);
}

Status prepare_layout(Request& request, const std::string& name, LayoutRef ref) {
  const std::string what = "build context '" + name + "'";
  auto opened = content::Store::open(ref.dir, content::Store::Use::kRead);
  if (!opened.ok()) return opened.status().with_prefix(what);
  int64_t size = 0;
  if (!ref.digest) {
    auto entries = content::read_index(**opened);
    if (!entries.ok()) return entries.status().with_prefix(what);
    const content::Entry* entry = content::find_entry(*entries, ref.tag);
    // As buildx: what is alone needs no name.
    if (entry == nullptr && entries->size() == 1) entry = entries->data();
    if (entry == nullptr) {
      std::string names;
      for (const auto& one : *entries)
        if (!one.ref_name.empty() && names.size() < 200)
          names += (names.empty() ? "" : ", ") + one.ref_name;
      return Status(Code::kNotFound, Hop::kLocal,
                    what + ": nothing in " + ref.dir + "/index.json has the tag " + ref.tag)
          .with_hint(names.empty() ? "name it by its digest: oci-layout://DIR@sha256:..."
                                   : "it has " + names);
    }
    auto digest = content::Digest::parse(entry->digest);
    if (!digest.ok()) {
      return Status(Code::kDataLoss, Hop::kLocal,
                    what + ": " + ref.dir + "/index.json: " + digest.status().message());
    }
    ref.digest = *digest;
    size = entry->size;
  }
  if (Status status = content::check_image(**opened, *ref.digest, size); !status.ok())
    return status.with_prefix(what);
  // The id stands in a reference, where a path could not.
  std::string id = base::random_id();
  request.stores["oci:" + id] = *opened;
  request.attrs["context:" + name] =
      std::string(kLayout) + id + (ref.tag.empty() ? "" : ":" + ref.tag) + "@" + ref.digest->text();
  return {};
}

Status prepare_directory(Request& request, const std::string& name, const std::string& dir) {
  const std::string what = "build context '" + name + "': " + dir;
  struct stat info {};
  if (::stat(dir.c_str(), &info) != 0) return base::errno_error(errno, what);
  if (!S_ISDIR(info.st_mode)) {
    return Status(Code::kInvalidArgument, Hop::kLocal, what + " is not a directory")
        .with_hint("an OCI layout is oci-layout://DIR, an image docker-image://NAME");
  }
  if (::access(dir.c_str(), R_OK | X_OK) != 0) return base::errno_error(errno, what);
  // The build's own directories have these names.
  std::string local = name == "context" || name == "dockerfile" ? "_" + name : name;
  if (!request.locals.emplace(local, dir).second)
    return bad(name, "there is a local directory of that name already");
  request.attrs["context:" + name] = "local:" + local;
  // The builder finds what it has of a directory by this: see shared_key() in solve.cc.
  std::error_code error;
  fs::path absolute = fs::absolute(dir, error).lexically_normal();
  if (!absolute.has_filename()) absolute = absolute.parent_path();
  request.attrs["sharedkey:localdir:" + name] = absolute.filename().string();
  return {};
}

}  // namespace

Result<std::string> context_name(const std::string& name) {
  size_t colons = name.find("::");
  auto canonical = canonical_name(name.substr(0, colons));
  if (!canonical.ok()) {
    return bad(name, "not a name that a Dockerfile could give to an image or a stage")
        .with_hint("names are lower case letters, digits and . _ - / :");
  }
  std::string key = familiar(std::move(*canonical));
  if (colons == std::string::npos) return key;
  auto platform = canonical_platform(name.substr(colons + 2));
  if (!platform.ok()) return platform.status().with_prefix("build context '" + name + "'");
  return key + "::" + *platform;
}

Result<std::optional<LayoutRef>> parse_layout_ref(std::string_view text) {
  if (!text.starts_with(kLayout)) return std::optional<LayoutRef>();
  LayoutRef ref;
  ref.dir = text.substr(kLayout.size());
  auto tag_char = [](unsigned char c) {
    return std::isalnum(c) || c == '_' || c == '.' || c == '-';
  };
  size_t at = ref.dir.rfind('@');
  if (at != std::string::npos && means_digest(std::string_view(ref.dir).substr(at + 1))) {
    DEPOT_ASSIGN(ref.digest, content::Digest::parse(ref.dir.substr(at + 1)));
    ref.dir.resize(at);
  }
  size_t colon = ref.dir.rfind(':');
  if (colon != std::string::npos) {
    std::string tag = ref.dir.substr(colon + 1);
    if (!tag.empty() && tag.size() <= 128 && tag.front() != '.' && tag.front() != '-' &&
        std::all_of(tag.begin(), tag.end(), tag_char)) {
      ref.tag = std::move(tag);
      ref.dir.resize(colon);
    }
  }
  if (ref.dir.empty()) return usage_error("an oci-layout needs a directory: " + std::string(text));
  if (ref.tag.empty() && !ref.digest) ref.tag = "latest";
  return std::optional<LayoutRef>(std::move(ref));
}

Status Request::add_build_context(const std::string& name, const std::string& value) {
  DEPOT_ASSIGN(std::string key, context_name(name));
  if (value.empty()) return bad(name, "it has no value");
  if (value.starts_with("target:")) {
    return bad(name, "'target:' means another target of a bake file, and here is none")
        .with_hint("name a stage of the same Dockerfile directly, or build the other target first");
  }
  if (value.find('\0') != std::string::npos) return bad(name, "its value holds a NUL byte");
  if (value.starts_with(kImage)) {
    std::string ref = value.substr(kImage.size());
    if (auto image = canonical_name(ref); !image.ok() && ref != "scratch")
      return image.status().with_prefix("build context '" + name + "'");
  } else if (value.starts_with(kLayout)) {
    auto ref = parse_layout_ref(value);
    if (!ref.ok()) return ref.status().with_prefix("build context '" + name + "'");
  } else {
    auto remote = parse_remote(value);
    if (!remote.ok()) return remote.status().with_prefix("build context '" + name + "'");
    if (!*remote && value.find("://") != std::string::npos && !has_control(value)) {
      return bad(name, redact_url(value) + " is of no kind that builders know")
          .with_hint(
              "a directory, docker-image://, oci-layout://, a Git reference, an http(s) URL");
    }
  }
  if (!build_contexts.emplace(key, value).second) return bad(name, "it is given twice");
  return {};
}

Status prepare_named_contexts(Request& request) {
  for (const auto& [name, value] : request.build_contexts) {
    add_frontend_cap(request, "moby.buildkit.frontend.contexts+forward");
    DEPOT_ASSIGN(auto layout, parse_layout_ref(value));
    DEPOT_ASSIGN(auto remote, parse_remote(value));
    if (layout) {
      DEPOT_TRY(prepare_layout(request, name, std::move(*layout)));
    } else if (value.starts_with(kImage) || remote) {
      request.attrs["context:" + name] = value;
      if (remote && remote->git && remote->git->query)
        add_frontend_cap(request, "moby.buildkit.frontend.gitquerystring+forward");
    } else {
      DEPOT_TRY(prepare_directory(request, name, value));
    }
  }
  return {};
}

}  // namespace depot::solve

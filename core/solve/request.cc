#include "solve/request.h"

#include <algorithm>

#include "registry/credentials.h"
#include "solve/attributes.h"
#include "solve/cache.h"
#include "solve/context.h"
#include "solve/csv.h"
#include "solve/destination.h"
#include "solve/export_attrs.h"
#include "solve/layout_export.h"
#include "solve/load_export.h"
#include "solve/local_export.h"
#include "solve/named_context.h"

namespace depot::solve {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;
using base::usage_error;

namespace {

const std::vector<std::string> kTypes = {"image", "oci", "docker", "tar", "local", "cacheonly"};

bool writes_file(const std::string& type) {
  return type == "oci" || type == "docker" || type == "tar";
}

bool has_nul(const std::string& text) {
  return text.find('\0') != std::string::npos;
}

}  // namespace

Result<size_t> Request::add_export(const std::string& type) {
  if (type == "registry") {
    exports.push_back({"image", {{"push", "true"}}, "", nullptr});
    return exports.size() - 1;
  }
  if (std::find(kTypes.begin(), kTypes.end(), type) == kTypes.end()) {
    return usage_error("unknown export type '" + type + "'")
        .with_hint("one of image, registry, local, oci, docker, tar, cacheonly");
  }
  exports.push_back({type, {}, "", nullptr});
  return exports.size() - 1;
}

Result<size_t> Request::add_output(const std::string& spec) {
  DEPOT_ASSIGN(auto fields, parse_csv(spec));
  // As docker: a bare path is a local export, "-" a tar to standard output.
  if (fields.size() == 1 && fields[0].find('=') == std::string::npos)
    fields = {fields[0] == "-" ? "type=tar" : "type=local", "dest=" + fields[0]};
  std::string type;
  std::map<std::string, std::string> attributes;
  for (const auto& field : fields) {
    size_t equals = field.find('=');
    if (equals == std::string::npos)
      return usage_error("output '" + spec + "': '" + field + "' is not key=value");
    std::string key = field.substr(0, equals);
    key.erase(0, key.find_first_not_of(" \t"));
    key.erase(key.find_last_not_of(" \t") + 1);
    std::transform(key.begin(), key.end(), key.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    std::string value = field.substr(equals + 1);
    if (key == "type")
      type = value;
    else if (!attributes.emplace(key, value).second)
      return usage_error("output '" + spec + "': '" + key + "' is given twice");
  }
  if (type.empty()) return usage_error("output '" + spec + "' has no type");
  DEPOT_ASSIGN(size_t index, add_export(type));
  for (auto& [key, value] : attributes) {
    Status status = set_export_attr(index, key, value);
    if (!status.ok()) {
      exports.pop_back();
      return status.with_prefix("output '" + spec + "'");
    }
  }
  return index;
}

Status Request::set_export_attr(size_t index, const std::string& key, const std::string& value) {
  if (index >= exports.size()) return usage_error("no export number " + std::to_string(index));
  Export& target = exports[index];
  if (key.empty() || has_nul(key) || has_nul(value))
    return usage_error("an export attribute needs a name, and neither may hold a NUL byte");
  if (key == "dest") {
    if (!writes_file(target.type) && target.type != "local")
      return usage_error("export type '" + target.type + "' has no destination");
    if (value == "-" && target.type == "local")
      return usage_error("a directory cannot be written to '-'")
          .with_hint("type=tar,dest=- gives the same files as a stream");
    if (value == "-") return usage_error("destination '-' is for a callback");
    if (value.empty()) return usage_error("the destination is empty");
    target.file = value;
    return {};
  }
  DEPOT_TRY(check_export_attr(target.type, key, value));
  target.attrs[key] = value;
  return {};
}

Status Request::add_tag(const std::string& name) {
  DEPOT_ASSIGN(std::string canonical, canonical_name(name));
  if (std::find(tags.begin(), tags.end(), canonical) == tags.end()) tags.push_back(canonical);
  return {};
}

Status Request::add_save_tag(const std::string& tag) {
  DEPOT_TRY(check_tag(tag));
  if (std::find(save_tags.begin(), save_tags.end(), tag) == save_tags.end())
    save_tags.push_back(tag);
  return {};
}

Status Request::allow_realm(const std::string& host, const std::string& realm) {
  for (const auto& name : {host, realm}) {
    Status valid = registry::check_host(name);
    if (!valid.ok())
      return usage_error("'" + name + "' is not a host with an optional port")
          .with_hint("as the error names them: registry.example=auth.example:8443");
  }
  auto lower = [](std::string text) {
    std::transform(text.begin(), text.end(), text.begin(),
                   [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
    return text;
  };
  realms.emplace(registry::config_key(lower(host)), lower(realm));
  return {};
}

Status Request::add_secret(SecretInput secret) {
  DEPOT_TRY(check_secret(secret));
  bool known = std::any_of(secrets.begin(), secrets.end(),
                           [&](const SecretInput& other) { return other.id == secret.id; });
  if (known) return usage_error("secret \"" + secret.id + "\" is given twice");
  secrets.push_back(std::move(secret));
  return {};
}

Status Request::add_secret(const std::string& spec) {
  DEPOT_ASSIGN(SecretInput secret, parse_secret(spec));
  return add_secret(std::move(secret));
}

Status Request::add_ssh(SshInput agent) {
  if (agent.id.size() > 4096) return usage_error("an ssh id has 4096 bytes at most");
  auto known = std::find_if(ssh.begin(), ssh.end(),
                            [&](const SshInput& other) { return other.id == agent.id; });
  if (known == ssh.end()) {
    ssh.push_back(std::move(agent));
    return {};
  }
  if (!known->keys_only || !agent.keys_only)
    return usage_error("ssh \"" + agent.id + "\" is given twice");
  for (auto& path : agent.paths) known->paths.push_back(std::move(path));
  for (auto& key : agent.keys) known->keys.push_back(std::move(key));
  return {};
}

Status Request::add_ssh(const std::string& spec) {
  DEPOT_ASSIGN(SshInput agent, parse_ssh(spec));
  return add_ssh(std::move(agent));
}

Status Request::set_record_provenance(const std::string& detail) {
  bool none = detail.empty() || detail == "disabled";
  if (!none && detail != "min" && detail != "max")
    return usage_error("provenance is recorded as 'min' or 'max', not '" + detail.substr(0, 100) +
                       "'");
  record_provenance = none ? "" : detail;
  return {};
}

namespace {

Export* image_of(Request& request) {
  auto found = std::find_if(request.exports.begin(), request.exports.end(),
                            [](const Export& e) { return e.type == "image"; });
  return found == request.exports.end() ? nullptr : &*found;
}

bool pushes(const Export& image) {
  auto push = image.attrs.find("push");
  return push != image.attrs.end() && is_go_true(push->second);
}

// A push under the names that the build has for it. What was to be pushed is, too; other names of
// the image are nobody's there.
Status add_saves(Request& request) {
  // A builder that makes one export of a build makes the first: of others it is told when they do
  // not come, of a push that was passed over by nobody.
  std::stable_partition(request.exports.begin(), request.exports.end(),
                        [](const Export& e) { return e.type == "image"; });
  std::string names;
  for (const auto& name : request.saved_as) names += (names.empty() ? "" : ",") + name;
  for (auto& image : request.exports) {
    if (image.type != "image") continue;
    auto by_digest = image.attrs.find("push-by-digest");
    if (by_digest != image.attrs.end() && is_go_true(by_digest->second)) {
      return usage_error("an image that is pushed by its digest alone cannot be saved, too")
          .with_hint("leave push-by-digest away, or save in a build of its own");
    }
    std::string& name = image.attrs["name"];
    name = pushes(image) && !name.empty() ? name + "," + names : names;
    image.attrs["push"] = "true";
  }
  return {};
}

// Tags, push and save, as attributes of the exports.
Status prepare_names(Request& request) {
  if (request.part) return {};
  if (!request.tags.empty() || request.push) {
    bool named = std::any_of(request.exports.begin(), request.exports.end(), [](const Export& e) {
      return e.type == "image" || e.type == "oci" || e.type == "docker";
    });
    if ((request.push && image_of(request) == nullptr) || !named)
      request.exports.push_back({"image", {}, "", nullptr});
  }
  const bool saves = !request.saved_as.empty() && request.call.empty();
  if (saves && image_of(request) == nullptr) request.exports.push_back({"image", {}, "", nullptr});
  std::string names;
  for (const auto& tag : request.tags) names += (names.empty() ? "" : ",") + tag;
  for (auto& target : request.exports) {
    bool image = target.type == "image";
    if ((image || target.type == "oci" || target.type == "docker") && !names.empty())
      target.attrs.emplace("name", names);  // an explicit name wins
    if (image && request.push) target.attrs["push"] = "true";
    // Where it is saved is known when there is a build.
    if (image && pushes(target) && !target.attrs.contains("name") &&
        !target.attrs.contains("push-by-digest") && !saves && !request.save &&
        request.save_tags.empty())
      return usage_error("a push needs a name").with_hint("give a tag: -t registry/repository:tag");
  }
  return saves ? add_saves(request) : Status();
}

}  // namespace

Result<Request> prepare(Request request, const base::Environment& environment,
                        const Waiting& waiting) {
  DEPOT_TRY(prepare_named_contexts(request));
  DEPOT_TRY(prepare_context(request, waiting));
  DEPOT_TRY(prepare_ssh(request.ssh, environment));
  DEPOT_TRY(prepare_secrets(request.secrets, environment));

  if (request.load) {
    bool there = std::any_of(request.exports.begin(), request.exports.end(), [](const Export& e) {
      return e.type == "docker" && e.file.empty() && !e.writer;
    });
    if (!there) request.exports.push_back({"docker", {}, "", nullptr});
  }
  DEPOT_TRY(prepare_names(request));
  for (auto& target : request.exports) {
    if (is_layout(target)) {
      DEPOT_TRY(prepare_layout_export(request, target));
      continue;
    }
    DEPOT_TRY(prepare_load(target, environment));
    if (writes_file(target.type) && target.file.empty() && !target.writer && !target.load) {
      return usage_error("export type '" + target.type + "' needs a destination")
          .with_hint("add dest=FILE, or give a callback");
    }
    if (writes_file(target.type) && !target.file.empty())
      DEPOT_TRY(check_file_destination(target.file));
    if (target.type == "local") DEPOT_TRY(prepare_local(target));
  }
  std::erase_if(request.exports, [](const Export& e) { return e.type == "cacheonly"; });
  DEPOT_TRY(apply_attributes(request));

  // It may name a stage, for the frontend to take the time from; exporters take a number alone.
  auto epoch = request.attrs.find("build-arg:SOURCE_DATE_EPOCH");
  if (epoch != request.attrs.end() &&
      epoch->second.find_first_not_of("0123456789") == std::string::npos) {
    for (auto& target : request.exports) target.attrs.emplace("source-date-epoch", epoch->second);
  }
  // Last, since it makes directories.
  DEPOT_TRY(prepare_cache(request, environment));
  return request;
}

}  // namespace depot::solve

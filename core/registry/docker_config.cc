#include "registry/docker_config.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "base/process.h"
#include "base/small_file.h"
#include "registry/json_text.h"

namespace depot::registry {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;
using nlohmann::json;

namespace {

constexpr size_t kMaxFile = 4 << 20;
constexpr size_t kMaxLogins = 10000;
constexpr char kVariable[] = "DOCKER_AUTH_CONFIG";

Status malformed(std::string reason) {
  return Status(Code::kInvalidArgument, Hop::kRegistry, std::move(reason));
}

std::string in_quotes(std::string_view text) {
  std::string out = "\"";
  for (char c : text.substr(0, 100)) out += c >= ' ' && c < 0x7f ? c : '?';
  return out + "\"";
}

// A string member of a login; anything but a string or null is a reason to refuse it.
Status take_string(const json& object, std::string_view name, std::string_view& out) {
  const json* found = member(object, name);
  if (found == nullptr) return base::ok_status();
  if (!found->is_string()) return malformed(in_quotes(name) + " is not a string");
  out = found->get_ref<const std::string&>();
  return base::ok_status();
}

Status parse_login(const json& value, DockerConfig::Login& login) {
  if (value.is_null()) return base::ok_status();
  if (!value.is_object()) return malformed("not an object");
  std::string_view username, password, identity, registry, both;
  DEPOT_TRY(take_string(value, "username", username));
  DEPOT_TRY(take_string(value, "password", password));
  DEPOT_TRY(take_string(value, "identitytoken", identity));
  DEPOT_TRY(take_string(value, "registrytoken", registry));
  DEPOT_TRY(take_string(value, "auth", both));
  login.username = std::string(username);
  login.password = base::Secret(password);
  login.identity_token = base::Secret(identity);
  login.registry_token = base::Secret(registry);
  if (both.empty()) return base::ok_status();
  DEPOT_ASSIGN(Credentials decoded, credentials_from_base64(both, "\"auth\""));
  login.username = std::move(decoded.username);
  login.password = std::move(decoded.secret);
  return base::ok_status();
}

bool is_port(std::string_view text) {
  return !text.empty() && text.find_first_not_of("0123456789") == std::string_view::npos;
}

}  // namespace

Credentials DockerConfig::Login::credentials() const {
  Credentials out;
  out.registry_token = registry_token;
  out.identity_token = !identity_token.empty();
  out.secret = out.identity_token ? identity_token : password;
  if (!out.identity_token) out.username = username;
  return out;
}

std::string host_of_key(std::string_view key) {
  size_t scheme = key.find("://");
  if (scheme == std::string_view::npos) return std::string(key.substr(0, key.find('/')));
  std::string_view host = key.substr(scheme + 3);
  host = host.substr(0, host.find_first_of("/?#"));
  size_t at = host.rfind('@');
  if (at != std::string_view::npos) host.remove_prefix(at + 1);
  size_t colon = host.rfind(':');
  if (!host.empty() && host.front() == '[') {
    // Go's form of an IPv6 host: without brackets unless a port follows.
    if (host.back() == ']') return std::string(host.substr(1, host.size() - 2));
    return std::string(host);
  }
  if (colon != std::string_view::npos && host.find(':') != colon &&
      is_port(host.substr(colon + 1))) {
    return "[" + std::string(host.substr(0, colon)) + "]" + std::string(host.substr(colon));
  }
  return std::string(host);
}

std::string DockerConfig::directory(const base::Environment& environment, const std::string& home) {
  std::string chosen = environment.get_or("DOCKER_CONFIG", "");
  if (!chosen.empty()) return chosen;
  return home.empty() ? "" : home + "/.docker";
}

Result<DockerConfig> DockerConfig::load(const base::Environment& environment,
                                        const std::string& home) {
  DockerConfig config;
  std::string folder = directory(environment, home);
  if (!folder.empty()) DEPOT_TRY(config.load_file(folder + "/config.json"));
  base::Secret inlined = base::Secret::take(environment.get_or(kVariable, ""));
  if (!inlined.empty()) {
    DEPOT_TRY(config.load_environment(inlined.reveal()).with_prefix(kVariable));
  }
  if (config.logins_.empty() && config.helpers_.empty() && config.default_helper_.empty()) {
    // Docker's rule for a config that says nothing at all.
    std::string suffix = base::find_program(environment, "pass").empty() ? "secretservice" : "pass";
    if (!base::find_program(environment, "docker-credential-" + suffix).empty()) {
      config.default_helper_ = suffix;
    }
  }
  return config;
}

Status DockerConfig::load_file(const std::string& path) {
  path_ = path;
  Result<base::Secret> text = base::read_small_file(path, kMaxFile);
  if (!text.ok()) {
    if (text.status().code() == Code::kNotFound) return base::ok_status();
    return text.status();
  }
  return load_text(text->reveal())
      .with_prefix(path)
      .with_hint("repair or remove " + path + ", or name another folder with DOCKER_CONFIG");
}

Status DockerConfig::load_text(std::string_view text) {
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) return base::ok_status();
  DEPOT_ASSIGN(JsonDocument document,
               JsonDocument::parse(text, Code::kInvalidArgument, Hop::kRegistry));
  const json& root = document.root();
  if (!root.is_object()) return malformed("not a JSON object");
  if (const json* auths = member(root, "auths")) {
    if (!auths->is_object()) return malformed("\"auths\" is not an object");
    if (auths->size() > kMaxLogins) return malformed("\"auths\" has too many entries");
    for (auto it = auths->begin(); it != auths->end(); ++it) {
      Entry entry;
      entry.problem =
          parse_login(*it, entry.login).with_prefix("\"auths\", " + in_quotes(it.key()));
      logins_[it.key()] = std::move(entry);
    }
  }
  if (const json* helpers = member(root, "credHelpers")) {
    if (!helpers->is_object()) return malformed("\"credHelpers\" is not an object");
    if (helpers->size() > kMaxLogins) return malformed("\"credHelpers\" has too many entries");
    for (auto it = helpers->begin(); it != helpers->end(); ++it) {
      if (!it->is_string()) {
        return malformed("\"credHelpers\", " + in_quotes(it.key()) + ": not a string");
      }
      helpers_[it.key()] = it->get_ref<const std::string&>();
    }
  }
  std::string_view store;
  DEPOT_TRY(take_string(root, "credsStore", store));
  default_helper_ = std::string(store);
  return base::ok_status();
}

Status DockerConfig::load_environment(std::string_view text) {
  if (text.size() > kMaxFile) {
    return Status(Code::kResourceExhausted, Hop::kRegistry, "larger than 4 MiB");
  }
  DEPOT_ASSIGN(JsonDocument document,
               JsonDocument::parse(text, Code::kInvalidArgument, Hop::kRegistry));
  const json& root = document.root();
  if (!root.is_object()) return malformed("not a JSON object");
  for (auto it = root.begin(); it != root.end(); ++it) {
    if (&*it != member(root, "auths")) return malformed("unknown field " + in_quotes(it.key()));
  }
  const json* auths = member(root, "auths");
  if (auths == nullptr) return base::ok_status();
  if (!auths->is_object()) return malformed("\"auths\" is not an object");
  if (auths->size() > kMaxLogins) return malformed("\"auths\" has too many entries");
  for (auto it = auths->begin(); it != auths->end(); ++it) {
    std::string where = "\"auths\", " + in_quotes(it.key());
    if (!it->is_object()) return malformed(where + ": not an object");
    for (auto field = it->begin(); field != it->end(); ++field) {
      if (&*field != member(*it, "auth")) {
        return malformed(where + ": unknown field " + in_quotes(field.key()));
      }
    }
    std::string_view both;
    DEPOT_TRY(take_string(*it, "auth", both).with_prefix(where));
    if (both.empty()) return malformed(where + ": \"auth\" is missing");
    DEPOT_ASSIGN(environment_[it.key()], credentials_from_base64(both, where + ", \"auth\""));
  }
  return base::ok_status();
}

std::optional<Credentials> DockerConfig::from_environment(const std::string& key) const {
  auto found = environment_.find(key);
  if (found == environment_.end()) return std::nullopt;
  return found->second;
}

std::string DockerConfig::helper(const std::string& key) const {
  auto found = helpers_.find(key);
  return found == helpers_.end() ? default_helper_ : found->second;
}

Result<DockerConfig::Login> DockerConfig::login(const std::string& key) const {
  auto found = logins_.find(key);
  for (auto it = logins_.begin(); found == logins_.end() && it != logins_.end(); ++it) {
    if (host_of_key(it->first) == key) {
      found = it;
      break;
    }
  }
  if (found == logins_.end()) return Login();
  if (!found->second.problem.ok()) return found->second.problem.with_prefix(path_);
  return found->second.login;
}

}  // namespace depot::registry

#include "registry/credentials.h"

#include <algorithm>
#include <utility>

#include "base/base64.h"

namespace depot::registry {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;

std::string config_key(std::string_view host) {
  if (host == "docker.io" || host == "index.docker.io" || host == "registry-1.docker.io") {
    return "https://index.docker.io/v1/";
  }
  return std::string(host);
}

Status check_host(std::string_view host) {
  auto allowed = [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' ||
           c == '-' || c == '_' || c == ':' || c == '[' || c == ']';
  };
  if (host.empty()) {
    return Status(Code::kInvalidArgument, Hop::kRegistry, "the registry host is empty");
  }
  if (host.size() > 300 || !std::all_of(host.begin(), host.end(), allowed)) {
    return Status(Code::kInvalidArgument, Hop::kRegistry, "the registry host is not a host name");
  }
  return base::ok_status();
}

Result<Credentials> credentials_from_base64(std::string_view text, std::string_view what) {
  auto problem = [&](std::string_view reason) {
    return Status(Code::kInvalidArgument, Hop::kRegistry,
                  std::string(what) + ": " + std::string(reason));
  };
  std::optional<std::string> decoded = base::base64_decode(text);
  if (!decoded) return problem("not valid base64");
  Credentials credentials;
  size_t colon = decoded->find(':');
  if (colon == std::string::npos || colon == 0) {
    base::wipe(*decoded);
    return problem("not the base64 of user:password");
  }
  credentials.username = decoded->substr(0, colon);
  std::string_view password = std::string_view(*decoded).substr(colon + 1);
  // Old clients padded passwords with NUL bytes.
  while (!password.empty() && password.front() == '\0') password.remove_prefix(1);
  while (!password.empty() && password.back() == '\0') password.remove_suffix(1);
  credentials.secret = base::Secret(password);
  base::wipe(*decoded);
  return credentials;
}

FixedCredentials::FixedCredentials(const std::map<std::string, Credentials, std::less<>>& by_host) {
  for (const auto& [host, credentials] : by_host) by_key_[config_key(host)] = credentials;
}

Result<std::optional<Credentials>> FixedCredentials::find(const std::string& host,
                                                          const base::Cancel&) {
  auto found = by_key_.find(config_key(host));
  if (found == by_key_.end()) return std::optional<Credentials>();
  return std::optional<Credentials>(found->second);
}

Result<std::shared_ptr<CredentialSource>> push_override(
    const base::Environment& environment, const std::set<std::string, std::less<>>& hosts) {
  if (hosts.empty()) return std::shared_ptr<CredentialSource>();
  Credentials credentials;
  credentials.username = environment.get_or("DEPOT_PUSH_REGISTRY_USERNAME", "");
  credentials.secret = base::Secret::take(environment.get_or("DEPOT_PUSH_REGISTRY_PASSWORD", ""));
  if (credentials.username.empty() || credentials.secret.empty()) {
    base::Secret both = base::Secret::take(environment.get_or("DEPOT_PUSH_REGISTRY_AUTH", ""));
    if (both.empty()) return std::shared_ptr<CredentialSource>();
    DEPOT_ASSIGN(credentials, credentials_from_base64(both.reveal(), "DEPOT_PUSH_REGISTRY_AUTH"));
  }
  std::map<std::string, Credentials, std::less<>> by_host;
  for (const auto& host : hosts) by_host.emplace(host, credentials);
  return std::shared_ptr<CredentialSource>(std::make_shared<FixedCredentials>(by_host));
}

}  // namespace depot::registry

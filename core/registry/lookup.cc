#include "registry/lookup.h"

#include <utility>

#include "registry/helper.h"

namespace depot::registry {

using base::Hop;
using base::Result;

Lookup::Lookup(const AuthOptions& options)
    : environment_(options.environment),
      home_(options.home),
      docker_config_(options.docker_config),
      helper_timeout_(options.helper_timeout) {
  auto for_push = push_override(environment_, options.push_hosts);
  if (!for_push.ok()) {
    problem_ = for_push.status();
  } else if (*for_push) {
    sources_.push_back(std::move(*for_push));
  }
  if (!options.fixed.empty()) sources_.push_back(std::make_shared<FixedCredentials>(options.fixed));
  for (const auto& source : options.sources) {
    if (source) sources_.push_back(source);
  }
}

Result<Credentials> Lookup::find(const std::string& host, const base::Cancel& cancel) {
  if (!problem_.ok()) return problem_;
  for (const auto& source : sources_) {
    if (cancel.triggered()) return base::cancelled_error();
    auto found = source->find(host, cancel);
    if (!found.ok()) {
      return found.status().with_prefix("credentials of registry " + host).with_hop(Hop::kCallback);
    }
    if (*found) return std::move(**found);
  }
  if (!docker_config_) return Credentials();
  if (cancel.triggered()) return base::cancelled_error();
  return from_docker(config_key(host), cancel);
}

Result<Credentials> Lookup::from_docker(const std::string& key, const base::Cancel& cancel) {
  DEPOT_ASSIGN(auto loaded, config());
  if (auto found = loaded->from_environment(key)) return std::move(*found);
  std::string helper = loaded->helper(key);
  if (helper.empty()) {
    DEPOT_ASSIGN(auto login, loaded->login(key));
    return login.credentials();
  }
  DEPOT_ASSIGN(Credentials credentials,
               run_helper(helper, key, environment_, cancel, helper_timeout_));
  // As in docker, the helper decides on user and password even when it has none; a ready token is
  // never in a helper, so the file's counts. A broken login in the file is not asked for here.
  auto login = loaded->login(key);
  if (login.ok()) credentials.registry_token = std::move(login->registry_token);
  return credentials;
}

Result<std::shared_ptr<const DockerConfig>> Lookup::config() {
  std::lock_guard guard(mutex_);
  if (!config_) {
    DEPOT_ASSIGN(auto loaded, DockerConfig::load(environment_, home_));
    config_ = std::make_shared<const DockerConfig>(std::move(loaded));
  }
  return config_;
}

}  // namespace depot::registry

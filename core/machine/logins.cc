#include "machine/logins.h"

#include <algorithm>
#include <set>
#include <sstream>
#include <string_view>
#include <utility>

#include "machine/save.h"

namespace depot::machine {
namespace {

using base::Result;
using base::Status;

// Tags apart: a part of an image has none.
bool is_saved(const solve::Request& ready, std::string_view canonical) {
  auto repository = [](std::string_view name) { return name.substr(0, name.rfind(':')); };
  return std::any_of(ready.saved_as.begin(), ready.saved_as.end(), [&](const std::string& name) {
    return repository(name) == repository(canonical);
  });
}

// The registries that `ready` (a prepared request) pushes to, but for where it is saved, whose
// login comes with the build.
std::set<std::string, std::less<>> push_hosts(const solve::Request& ready) {
  std::set<std::string, std::less<>> hosts;
  for (const auto& one : ready.exports) {
    auto names = one.attrs.find("name");
    if (!pushes(one) || names == one.attrs.end()) continue;
    std::istringstream list(names->second);
    for (std::string name; std::getline(list, name, ',');)
      if (auto full = solve::canonical_name(name); full.ok() && !is_saved(ready, *full))
        hosts.insert(full->substr(0, full->find('/')));
  }
  return hosts;
}

// Asks the caller, on the caller's thread, and waits there for the answer.
class CallbackCredentials final : public registry::CredentialSource {
 public:
  CallbackCredentials(std::shared_ptr<solve::LoginReader> reader,
                      std::shared_ptr<solve::EventQueue> queue)
      : reader_(std::move(reader)), queue_(std::move(queue)) {}

  Result<std::optional<registry::Credentials>> find(const std::string& host,
                                                    const base::Cancel& cancel) override {
    auto login = std::make_shared<std::optional<solve::RegistryLogin>>();
    bool ran = queue_->call(
        [reader = reader_, host, login]() -> Status {
          int32_t code = (*reader)(host, *login);
          if (code == 0) return {};
          login->reset();
          return solve::callback_error("registry login", code);
        },
        cancel);
    if (!ran) return base::cancelled_error();
    if (!*login) return std::optional<registry::Credentials>();
    registry::Credentials credentials;
    credentials.username = (*login)->username;
    credentials.identity_token = credentials.username.empty();
    credentials.secret = std::move((*login)->password);
    return std::optional<registry::Credentials>(std::move(credentials));
  }

 private:
  std::shared_ptr<solve::LoginReader> reader_;
  std::shared_ptr<solve::EventQueue> queue_;
};

bool ask_realm(solve::EventQueue& queue, const std::shared_ptr<solve::RealmReader>& reader,
               const std::string& host, const std::string& realm, const base::Cancel& cancel) {
  auto allowed = std::make_shared<bool>(false);
  bool ran = queue.call(
      [reader, host, realm, allowed]() -> Status {
        *allowed = (*reader)(host, realm) != 0;
        return {};
      },
      cancel);
  return ran && *allowed;
}

}  // namespace

// As BuildKit's image exporter reads it.
bool pushes(const solve::Export& one) {
  auto push = one.attrs.find("push");
  if ((one.type != "image" && one.type != "moby") || push == one.attrs.end()) return false;
  static constexpr std::string_view kTrue[] = {"", "1", "t", "T", "true", "TRUE", "True"};
  return std::find(std::begin(kTrue), std::end(kTrue), push->second) != std::end(kTrue);
}

base::Environment docker_environment(const Client& client, const solve::Request& request) {
  const base::Environment& environment = client.options().environment;
  if (!request.docker_config) return environment;
  auto values = environment.all();
  values["DOCKER_CONFIG"] = *request.docker_config;
  return base::Environment(std::move(values));
}

Result<std::shared_ptr<registry::Auth>> make_auth(const Build& build, const solve::Request& request,
                                                  const std::shared_ptr<solve::EventQueue>& queue) {
  const Client& client = *build.client();
  registry::AuthOptions auth;
  auth.environment = docker_environment(client, request);
  auth.home = client.options().environment.get_or("HOME", "");
  auth.log = client.options().log;
  auth.http = [shared = build.client()] { return shared->http(); };
  auth.push_hosts = push_hosts(request);
  if (request.docker_config) auth.docker_config = !request.docker_config->empty();
  for (const auto& login : request.logins) {
    registry::Credentials credentials;
    credentials.username = login.username;
    credentials.identity_token = login.username.empty();
    credentials.secret = login.password;
    auth.fixed.emplace(login.host, std::move(credentials));
  }
  for (const auto& [host, encoded] : build.credentials()) {
    DEPOT_ASSIGN(auto credentials, registry::credentials_from_base64(
                                       encoded.reveal(), "the API's credentials for " + host));
    auth.fixed.emplace(host, std::move(credentials));
  }
  if (build.token_is_login()) {
    registry::Credentials credentials;
    credentials.username = kTokenUser;
    credentials.secret = build.token();
    auth.fixed.emplace(kDepotRegistry, std::move(credentials));
  }
  if (request.login_reader) {
    auth.sources.push_back(std::make_shared<CallbackCredentials>(request.login_reader, queue));
  }
  auth.consent = [realms = request.realms, reader = request.realm_reader, queue](
                     const std::string& host, const std::string& realm,
                     const base::Cancel& cancel) {
    if (realms.contains({registry::config_key(host), realm})) return true;
    return reader && ask_realm(*queue, reader, host, realm, cancel);
  };
  // A step of its own names each party that got a secret.
  auth.on_shared = [log = client.options().log, queue](const std::string& host,
                                                       const std::string& realm) {
    base::log(log, base::LogLevel::kInfo,
              "credentials of registry " + host + " go to " +
                  (realm.empty() ? "the builder" : "the token server " + realm));
    queue->push(solve::credential_event(host, realm));
  };
  return registry::Auth::create(std::move(auth));
}

}  // namespace depot::machine

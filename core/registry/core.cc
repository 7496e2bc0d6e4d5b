#include "registry/core.h"

#include <initializer_list>
#include <string_view>

#include "registry/authority.h"
#include "registry/docker_config.h"
#include "registry/token_fetch.h"

namespace depot::registry {

using base::Cancel;
using base::Result;
using base::Status;

namespace {

// Below the 5 minutes that some cloud helpers' passwords live.
constexpr std::chrono::seconds kKept{290};
// Hosts are the far side's choice, so what is remembered of them is bounded.
constexpr size_t kMaxKept = 1000;

std::string joined(std::initializer_list<std::string_view> parts) {
  std::string key;
  for (std::string_view part : parts) {
    key += std::to_string(part.size()) + ":";
    key += part;
  }
  return key;
}

std::string seeds_folder(const AuthOptions& options) {
  return options.docker_config ? DockerConfig::directory(options.environment, options.home) : "";
}

AuthOptions without_owners(AuthOptions options) {
  options.pool = nullptr;
  options.http = nullptr;
  return options;
}

}  // namespace

std::shared_ptr<Core> Core::create(AuthOptions options) {
  return std::make_shared<Core>(std::move(options));
}

Core::Core(AuthOptions options)
    : options_(without_owners(options)),
      shared_(std::make_shared<Shared>(std::move(options.pool), std::move(options.http))),
      lookup_(options_),
      seeds_(seeds_folder(options_)) {
  auto post = [shared = shared_](std::function<void()> task) { shared->post(std::move(task)); };
  lookups_ = std::make_shared<Flights<Credentials>>(root_, post);
  tokens_ = std::make_shared<Flights<Token>>(root_, post);
  keys_ = std::make_shared<Flights<Auth::PublicKey>>(root_, post);
  proofs_ = std::make_shared<Flights<std::string>>(root_, post);
}

void Core::close() {
  root_.trigger();
  shared_->close();
}

void Core::find(const std::string& host, const Cancel& cancel, Auth::Done<Credentials> done) {
  auto run = [self = shared_from_this(), host](const Cancel& flight,
                                               std::shared_ptr<Promise<Credentials>> promise) {
    self->shared_->post([self, host, flight, promise] {
      if (auto kept = self->recall(host)) return promise->settle(std::move(*kept));
      auto found = self->lookup_.find(host, flight);
      if (flight.triggered()) return promise->settle(base::cancelled_error());
      if (found.ok()) self->keep(host, *found);  // before it lands: who comes later recalls it
      promise->settle(std::move(found));
    });
  };
  lookups_->join(config_key(host), cancel, std::move(done), run);
}

void Core::fetch(TokenRequest request, const Cancel& cancel, Auth::Done<Token> done) {
  std::string key = joined({request.host, request.realm, request.service});
  if (!request.for_builder) key += "own";
  for (const std::string& scope : request.scopes) key += joined({scope});
  auto run = [self = shared_from_this(), request = std::move(request)](
                 const Cancel& flight, std::shared_ptr<Promise<Token>> promise) {
    // One look-up may serve many, so what comes after it has its own turn on the pool.
    self->find(request.host, flight, [self, request, flight, promise](Result<Credentials> found) {
      self->shared_->post([self, request, flight, promise, found = std::move(found)] {
        if (!found.ok()) return promise->settle(found.status());
        self->fetch_with(request, *found, flight, promise);
      });
    });
  };
  tokens_->join(key, cancel, std::move(done), run);
}

void Core::fetch_with(const TokenRequest& request, Credentials login, const Cancel& cancel,
                      const std::shared_ptr<Promise<Token>>& promise) {
  if (!login.registry_token.empty()) {
    if (request.for_builder) report(request.host, "");
    Token token;
    token.token = std::move(login.registry_token);
    return promise->settle(std::move(token));
  }
  auto realm = parse_realm(request.realm, request.host);
  if (!realm.ok()) return promise->settle(realm.status());
  bool with_password = !login.secret.empty();
  Status allowed = check_realm(request.host, *realm, with_password, rules(cancel));
  if (cancel.triggered()) return promise->settle(base::cancelled_error());
  if (!allowed.ok()) return promise->settle(allowed);
  Status ready = shared_->need_client();
  if (!ready.ok()) return promise->settle(ready);
  if (cancel.triggered()) return promise->settle(base::cancelled_error());
  if (with_password) report(request.host, realm->authority);
  base::log(options_.log, base::LogLevel::kDebug,
            "fetching a token of registry " + request.host + " from " + realm->authority);
  TokenPlan plan;
  plan.host = request.host;
  plan.realm = std::move(*realm);
  plan.service = request.service;
  plan.scopes = request.scopes;
  plan.credentials = std::move(login);
  plan.retry_delay = options_.retry_delay;
  plan.clock = options_.clock;
  start_token_fetch(shared_, std::move(plan), cancel, promise);
}

template <class T>
void Core::with_key(Flights<T>& flights, const std::string& flight_key, const std::string& host,
                    const std::string& salt, const Cancel& cancel, Auth::Done<T> done, Use<T> use) {
  auto run = [self = shared_from_this(), host, salt, use = std::move(use)](
                 const Cancel& flight, std::shared_ptr<Promise<T>> promise) {
    self->find(host, flight, [self, host, salt, use, flight, promise](Result<Credentials> found) {
      self->shared_->post([self, host, salt, use, flight, promise, found = std::move(found)] {
        if (!found.ok()) return promise->settle(found.status());
        if (flight.triggered()) return promise->settle(base::cancelled_error());
        // Anonymous callers are all the same authority; nothing is stored for them.
        std::string seed = found->secret.empty() ? "" : self->seeds_.seed(host, flight);
        auto key = authority_key(salt, seed);
        base::wipe(seed);
        promise->settle(key.ok() ? use(*key) : Result<T>(key.status()));
      });
    });
  };
  flights.join(flight_key, cancel, std::move(done), run);
}

void Core::public_key(const std::string& host, const std::string& salt, const Cancel& cancel,
                      Auth::Done<Auth::PublicKey> done) {
  with_key<Auth::PublicKey>(*keys_, joined({host, salt}), host, salt, cancel, std::move(done),
                            [](const base::Secret& key) { return authority_public(key); });
}

void Core::sign(const std::string& host, const std::string& salt, const std::string& payload,
                const Cancel& cancel, Auth::Done<std::string> done) {
  with_key<std::string>(
      *proofs_, joined({host, salt, payload}), host, salt, cancel, std::move(done),
      [payload](const base::Secret& key) { return authority_sign(key, payload); });
}

void Core::report(const std::string& host, const std::string& realm_host) {
  if (!options_.on_shared) return;
  {
    std::lock_guard guard(mutex_);
    if (reported_.size() >= kMaxKept) reported_.clear();  // and so once more
    if (!reported_.emplace(host, realm_host).second) return;
  }
  options_.on_shared(host, realm_host);
}

std::optional<Credentials> Core::recall(const std::string& host) {
  std::lock_guard guard(mutex_);
  auto found = kept_.find(config_key(host));
  if (found == kept_.end()) return std::nullopt;
  if (found->second.until > options_.clock->now()) return found->second.credentials;
  kept_.erase(found);
  return std::nullopt;
}

void Core::keep(const std::string& host, const Credentials& credentials) {
  auto now = options_.clock->now();
  std::lock_guard guard(mutex_);
  if (kept_.size() >= kMaxKept) {
    std::erase_if(kept_, [&](const auto& one) { return one.second.until <= now; });
  }
  if (kept_.size() >= kMaxKept) kept_.clear();
  kept_[config_key(host)] = {credentials, now + kKept};
}

RealmRules Core::rules(const Cancel& cancel) {
  RealmRules rules;
  rules.plain_http_hosts = options_.plain_http_hosts;
  rules.resolve = [cancel](const std::string& host) { return resolve_reaches(host, cancel); };
  if (options_.consent) {
    rules.consent = [this, cancel](const std::string& host, const std::string& realm_host) {
      return ask(host, realm_host, cancel);
    };
  }
  return rules;
}

// One question for each pair: a person may be behind it.
bool Core::ask(const std::string& host, const std::string& realm_host, const Cancel& cancel) {
  std::lock_guard guard(asking_);
  if (consented_.size() >= kMaxKept) consented_.clear();
  auto known = consented_.find({host, realm_host});
  if (known != consented_.end()) return known->second;
  bool allowed = options_.consent(host, realm_host, cancel);
  if (!cancel.triggered()) consented_[{host, realm_host}] = allowed;  // else nobody was asked
  return allowed;
}

}  // namespace depot::registry

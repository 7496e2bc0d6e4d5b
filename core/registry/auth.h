// Auth: everything that BuildKit's Auth session service asks of a client, without the RPCs.
//
// BuildKit (the builder) names a registry host and asks for its credentials, for a token of its
// token server, or for proof that this client holds the same credentials as another. All of that is
// a far side asking for passwords, so:
//  - only the helper of the host asked for is run, with a time limit; its answer is kept for 4 m 50
//  s
//    and callers that ask for the same host at the same time share one run;
//  - a password goes to a token server only if the server belongs to the registry (realm.h);
//  - each party that gets a secret is reported to on_shared before it does;
//  - errors name the registry, the token server and the reason, never a secret.
//
// Where credentials come from, first match wins: DEPOT_PUSH_REGISTRY_* (for AuthOptions::push_hosts
// alone: a Dockerfile may name any host), AuthOptions::fixed, AuthOptions::sources, then docker's
// config.json with its helpers (docker_config.h).
//
// Threads: the calls may come from any thread and return at once. `done` is called exactly once, on
// any thread (the pool's, the HTTP client's, the one that triggers `cancel`, the one that destroys
// the pool) but never before the call returned on the caller's own stack through the pool, and
// never under a lock; it must not block. It may outlive this object: whoever wants to be gone by
// then keeps a weak pointer to itself. Destroying Auth cancels what is under way and does not wait
// for it, unless it held the last reference to the pool or the client, which do; so the last
// reference to Auth must not be dropped inside `done`.
#pragma once

#include <array>
#include <chrono>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/clock.h"
#include "base/environment.h"
#include "base/log.h"
#include "base/pool.h"
#include "base/secret.h"
#include "base/status.h"
#include "http/client.h"
#include "registry/credentials.h"

namespace depot::registry {

struct TokenRequest {
  std::string host;   // the registry
  std::string realm;  // its token server, as the registry told the builder
  std::string service;
  std::vector<std::string> scopes;  // "repository:library/alpine:pull"
  bool for_builder = true;          // false: for a request of our own, which no builder sees
};

struct Token {
  base::Secret token;
  int64_t expires_in = 60;  // seconds
  int64_t issued_at = 0;    // Unix seconds, 0: unknown
};

struct AuthOptions {
  base::Environment
      environment;   // DOCKER_CONFIG, DOCKER_AUTH_CONFIG, PATH, ... and the helpers' own
  std::string home;  // for ~/.docker; empty: no config unless DOCKER_CONFIG names one
  std::map<std::string, Credentials, std::less<>> fixed;  // the caller's own, host -> credentials
  std::set<std::string, std::less<>> push_hosts;          // those DEPOT_PUSH_REGISTRY_* is for
  std::vector<std::shared_ptr<CredentialSource>> sources;
  bool docker_config = true;

  // Helpers and seed files. Not the pool that reads build contexts: a helper that waits for a
  // person holds its thread for helper_timeout. Null: one of two threads, made with the first call.
  std::shared_ptr<base::Pool> pool;
  // Makes or returns the HTTP client, at most once, with the first token that has to be fetched.
  // Its user agent and proxies are the client's. Null: an own client with the defaults.
  std::function<std::shared_ptr<http::Client>()> http;

  // Below the 60 s after which the builder gives up with an error that names nobody.
  std::chrono::milliseconds helper_timeout{55000};
  std::chrono::milliseconds retry_delay{1000};  // doubled for each of three retries of a fetch

  // Registries (host or host:port) that are spoken to in plain HTTP, beside those on loopback.
  std::set<std::string, std::less<>> plain_http_hosts;
  // Asked, on a pool thread, when no rule ties a token server to a registry. True: it may have the
  // password. Null: refused. May block until `cancel` is triggered.
  std::function<bool(const std::string& host, const std::string& realm_host,
                     const base::Cancel& cancel)>
      consent;
  // A secret is about to go to the builder (realm_host empty) or a token server; once for each
  // pair.
  std::function<void(const std::string& host, const std::string& realm_host)> on_shared;

  base::LogSink log;
  const base::Clock* clock = &base::Clock::real();  // outlives all
};

class Auth {
 public:
  using PublicKey = std::array<uint8_t, 32>;
  template <class T>
  using Done = std::function<void(base::Result<T>)>;

  static std::shared_ptr<Auth> create(AuthOptions options);
  virtual ~Auth() = default;

  // Credentials RPC. Empty credentials: the registry is used anonymously.
  virtual void credentials(std::string host, const base::Cancel& cancel,
                           Done<Credentials> done) = 0;
  // The same for a request of our own to that registry: nothing goes to the builder.
  virtual void login(std::string host, const base::Cancel& cancel, Done<Credentials> done) = 0;
  // FetchToken RPC.
  virtual void fetch_token(TokenRequest request, const base::Cancel& cancel, Done<Token> done) = 0;
  // GetTokenAuthority RPC. kUnavailable when BUILDKIT_NO_CLIENT_TOKEN is set: the builder then asks
  // for credentials() instead.
  virtual void token_authority(std::string host, std::string salt, const base::Cancel& cancel,
                               Done<PublicKey> done) = 0;
  // VerifyTokenAuthority RPC: signature followed by payload.
  virtual void verify(std::string host, std::string payload, std::string salt,
                      const base::Cancel& cancel, Done<std::string> done) = 0;
};

}  // namespace depot::registry

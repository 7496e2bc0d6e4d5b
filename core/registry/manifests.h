// Manifests of registries, read and written with the logins and tokens that Auth has.
//
// A client of a few calls, for who joins images that a builder has pushed: no layers go through it.
// Everything that is read is bounded and, where it is named by a digest, held against it.
// Registries on loopback and those listed in plain_http_hosts are spoken to in plain HTTP, all
// others in HTTPS. A redirect is followed for reading, and then without a login; a request that
// writes is not sent elsewhere.
//
// Threads: the calls block until there is an answer, the deadline has passed or `cancel` is
// triggered; any thread but the HTTP client's and Auth's, several at a time.
#pragma once

#include <chrono>
#include <cstddef>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <tuple>

#include "base/cancel.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/status.h"
#include "http/client.h"
#include "registry/auth.h"

namespace depot::registry {

// As in an image's canonical name: "docker.io" and "library/app".
struct Repository {
  std::string host, name;
  std::string text() const { return host + "/" + name; }
};

struct Manifest {
  std::string media_type;
  std::string digest;  // of `bytes`
  std::string bytes;
};

struct ManifestsOptions {
  std::shared_ptr<Auth> auth;
  std::shared_ptr<http::Client> http;
  std::set<std::string, std::less<>> plain_http_hosts;
  std::chrono::milliseconds timeout{60000};     // of one call, logging in and repeats included
  std::chrono::milliseconds retry_delay{1000};  // doubled for each of three repeats
  base::LogSink log;
};

// Errors are Hop::kRegistry, or Hop::kProxy when the proxy failed, and name the host, the
// repository, the status and the registry's own code and message: kUnauthenticated (401),
// kPermissionDenied (403), kNotFound (404), kUnavailable (no connection, 429, 5xx, after three
// repeats), kDataLoss (bytes that are not what their digest says), kDeadlineExceeded, kCancelled.
class Manifests {
 public:
  // Registries refuse to take larger ones.
  static constexpr size_t kMaxManifest = 4 << 20;

  explicit Manifests(ManifestsOptions options) : options_(std::move(options)) {}

  // By tag or digest.
  base::Result<Manifest> get(const Repository& repository, const std::string& reference,
                             const base::Cancel& cancel);
  // The digest of what a tag names, or the digest itself if it is there; nullopt: no such manifest.
  base::Result<std::optional<std::string>> find(const Repository& repository,
                                                const std::string& reference,
                                                const base::Cancel& cancel);
  base::Result<std::string> blob(const Repository& repository, const std::string& digest,
                                 size_t max_bytes, const base::Cancel& cancel);
  // Not sent when `reference` names it already, for a registry whose tags do not change.
  base::Status put(const Repository& repository, const std::string& reference,
                   const Manifest& manifest, const base::Cancel& cancel);

 private:
  struct Exchange;
  using Login = std::tuple<std::string, std::string, bool>;  // host, repository, to write

  base::Result<http::Response> run(Exchange exchange, const base::Cancel& cancel);
  base::Result<http::Response> repeated(const Exchange& exchange, const base::Secret& authorization,
                                        const base::Cancel& cancel);
  base::Result<http::Response> redirected(const Exchange& exchange, http::Response response,
                                          const base::Cancel& cancel);
  base::Result<base::Secret> log_in(const Exchange& exchange, const http::Response& refusal,
                                    const base::Cancel& cancel);
  bool is_plain(const std::string& host) const;

  const ManifestsOptions options_;
  std::mutex mutex_;
  std::map<Login, base::Secret> logins_;  // guarded by mutex_: whole Authorization values
};

}  // namespace depot::registry

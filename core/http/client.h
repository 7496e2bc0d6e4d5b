// HTTP client over libcurl: one thread (a curl multi loop) for any number of requests, pooled
// connections, proxies, Unix sockets, deadlines, cancellation, redaction.
//
// It serves the Depot API, registry token servers and OIDC providers. The thread starts with the
// first request and ends with the client; a build that needs no HTTP never starts it. In a child
// made by fork() a client whose thread had started is of no use any more: every call fails at once
// with kFailedPrecondition (`done` then runs on the caller's thread) and the destructor lets go of
// it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/cancel.h"
#include "base/environment.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/secret.h"
#include "base/status.h"

namespace depot::http {

struct Options {
  std::string user_agent;
  std::string ca_file;      // PEM bundle instead of the system's; empty: the system's
  std::string ca_pem;       // the same from memory; wins over ca_file
  std::string proxy;        // empty: by the environment (curl's rules: https_proxy, no_proxy, ...)
  std::string unix_socket;  // every request goes to this socket, whatever its URL's host
  // Where the proxy's variables are read; nullopt: this process's, at create().
  std::optional<base::Environment> environment;
  base::LogSink log;  // method, URL without query, status, time; never headers or bodies
};

enum class Version {
  // https://: HTTP/2 or 1.1 by ALPN. http://: HTTP/2 by prior knowledge, HTTP/1.1 where the server
  // answers a bare HTTP/2 preface otherwise; asked once per origin, on a connection of its own, so
  // that no request is ever sent twice for it. Through a proxy http:// is HTTP/1.1.
  kDefault,
  kHttp1,
  kHttp2,  // http:// without asking; https:// as kDefault
};

struct Request {
  std::string method = "GET";
  std::string url;
  std::vector<std::pair<std::string, std::string>> headers;
  base::Secret authorization;  // the whole Authorization value; kept out of `headers` and logs
  base::Secret body;           // may hold a password: wiped with the request
  Version version = Version::kDefault;
  std::chrono::milliseconds timeout{30000};  // of the whole exchange
  std::chrono::milliseconds connect_timeout{10000};
  size_t max_response = 16 << 20;  // bytes; more fails with kResourceExhausted
  // Refused with a body or an authorization: another host would get them.
  bool follow_redirects = false;
  // Not safe to repeat: sent on a fresh connection, because a reused one that turns out dead would
  // have it sent again, and a failure is marked retryable only if no byte of the request had left.
  bool once = false;
  // On a connection of its own: for a repeat of what got no answer, because the pooled one may be
  // dead without anybody having been told.
  bool fresh = false;
};

struct Response {
  int status = 0;
  std::vector<std::pair<std::string, std::string>> headers;  // names lower case, in order
  std::string body;
  // First value or empty.
  std::string header(std::string_view lower_case_name) const;
  // What Retry-After asks for, seconds or a date; nullopt without one, never negative.
  std::optional<std::chrono::milliseconds> retry_after() const;
};

class Client {
 public:
  using CallId = uint64_t;
  using Done = std::function<void(base::Result<Response>)>;

  static std::shared_ptr<Client> create(Options options);
  // Ends the thread; what is under way ends with kCancelled first. On the client's own thread (a
  // `done` that held the last reference) it does not wait for the end.
  virtual ~Client() = default;

  // Any HTTP status is a success here; transport failures are errors (Hop::kApi, or Hop::kProxy
  // when the proxy is what failed; callers with another hop replace it). `done` is called exactly
  // once, on the client's thread (on this one if there is none: after fork(), or when it cannot be
  // started). Any thread.
  virtual CallId send(Request request, Done done) = 0;
  // `done` follows soon, with kCancelled; too late is fine.
  virtual void cancel(CallId id) = 0;
  // send() and wait. Not on the client's thread.
  virtual base::Result<Response> fetch(Request request, const base::Cancel& cancel) = 0;
  // The client's thread, for timers and posts (heartbeats live here).
  virtual base::Loop& loop() = 0;
};

}  // namespace depot::http

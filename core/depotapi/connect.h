// The unary part of the Connect protocol with the proto codec
// (https://connectrpc.com/docs/protocol), over http::Client: one message there, one message or an
// error back. And of client streams those of one message, for methods that are nothing else. It
// knows no service; it neither retries nor reads the environment.
//
// Any thread. Metadata has lower-case names in what comes back; trailers are the response headers
// "trailer-*", their prefix taken off.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/cancel.h"
#include "base/secret.h"
#include "base/status.h"
#include "http/client.h"

namespace depot::depotapi {

using Metadata = std::vector<std::pair<std::string, std::string>>;

struct UnaryRequest {
  std::string path;                          // "/package.Service/Method"
  base::Secret message;                      // serialized
  base::Secret token;                        // sent as "Authorization: Bearer ..."; empty: none
  Metadata headers;                          // added to the protocol's own
  std::chrono::milliseconds timeout{30000};  // of the whole call
  bool tell_timeout = true;                  // the server gets to know it (Connect-Timeout-Ms)
  bool gzip = false;  // compress the message; a gzip answer is understood in any case
  // GET with the message in the URL: for methods without side effects and messages without secrets
  // (URLs end in logs).
  bool get = false;
  bool stream = false;  // the method is a client stream: of this message alone; not with gzip, get
  bool once = false;    // http::Request::once
  bool fresh = false;   // http::Request::fresh
  http::Version version = http::Version::kDefault;
  size_t max_message = 4 << 20;  // of the answer, unpacked; more is kResourceExhausted
};

struct UnaryAnswer {
  // OK, or what went wrong: the server's own error (Hop::kApi, its code, message and details), what
  // an answer that is not Connect's stands for, or why there was none. A server's message is valid
  // UTF-8 of at most 16 KiB, but may have several lines; the request's token is never part of it.
  base::Status status;
  std::string message;  // serialized; wipe it if it held a secret
  Metadata headers, trailers;
  int http_status = 0;  // 0: no answer came
  std::optional<std::chrono::milliseconds> retry_after;
};

class ConnectClient {
 public:
  using Done = std::function<void(UnaryAnswer)>;

  // `base_url`: scheme, host, port and perhaps a path before the service's,
  // "https://api.depot.dev".
  ConnectClient(std::shared_ptr<http::Client> http, std::string base_url);

  // Blocks; not on the HTTP client's thread.
  UnaryAnswer call(UnaryRequest request, const base::Cancel& cancel) const;
  // `done` is called once, on the HTTP client's thread (or at once, on this one, if the request
  // could not even be made).
  void start(UnaryRequest request, Done done) const;

 private:
  base::Result<http::Request> wrap(UnaryRequest& request) const;

  std::shared_ptr<http::Client> http_;
  std::string base_url_;
};

}  // namespace depot::depotapi

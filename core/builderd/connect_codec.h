// The Connect protocol's unary calls, server side, as a codec: an HTTP request into a call, a reply
// into an HTTP response. Knows no service, no socket and no thread.
//
// Claimed: POST, application/proto, gzip and identity both ways, timeouts, metadata as headers and
// as "trailer-" headers, errors as JSON with details. Not claimed: GET, application/json.
#pragma once

#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "builderd/http_service.h"
#include "http2/server.h"

namespace depot::builderd {

struct ConnectLimits {
  size_t max_message = 16 << 20;   // bytes, of a request's message, unpacked
  size_t compress_from = 4 << 10;  // smaller responses are not worth packing
};

// A request, decoded.
struct ConnectCall {
  std::string path;
  http2::Headers headers;  // all of them, names in lower case
  std::string message;     // unpacked
  std::optional<std::chrono::milliseconds> timeout;
  bool trusted = false;  // see HttpRequest
  bool accepts_gzip = false;
};

// What a handler answers. Metadata may stand beside an error too.
struct ConnectReply {
  ConnectReply(base::Result<std::string> result)
      : message(std::move(result)) {}  // NOLINT: implicit
  base::Result<std::string> message;
  http2::Headers headers;
  http2::Headers trailers;  // without the "trailer-"
};

// "invalid_argument", ...: the protocol's names.
std::string_view connect_code_name(base::Code code);
int connect_http_status(base::Code code);
// {"code": ..., "message": ..., "details": [...]}; bytes that are no UTF-8 become U+FFFD.
std::string connect_error_json(const base::Status& error);
HttpResponse connect_error(const base::Status& error);

// ok: `call` is filled. Otherwise `refusal` is what to answer: 405 and 415 in HTTP's own terms, the
// rest as errors of the protocol.
bool decode_connect(HttpRequest request, const ConnectLimits& limits, ConnectCall& call,
                    HttpResponse& refusal);
HttpResponse encode_connect(ConnectReply reply, bool accepts_gzip, const ConnectLimits& limits);

// The whole response to a client stream of which nothing but the answer matters.
HttpResponse encode_connect_stream(ConnectReply reply);

}  // namespace depot::builderd

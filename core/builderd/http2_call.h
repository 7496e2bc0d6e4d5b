// Http2Call: one HTTP/2 stream as an HttpRequest and its HttpResponse.
#pragma once

#include <chrono>
#include <cstddef>
#include <functional>
#include <memory>

#include "base/loop.h"
#include "builderd/http_service.h"
#include "http2/server.h"

namespace depot::builderd {

struct Http2CallContext {
  base::Loop& loop;
  HttpService& service;
  bool trusted;
  size_t max_body;
  std::chrono::milliseconds patience;  // for a request to arrive
  std::chrono::milliseconds linger;    // for a refused one to end
  // Bytes that the bodies of this connection's requests may still take, all together.
  std::shared_ptr<size_t> budget;
  std::function<void()> wake;  // called after an answer was given, so that the connection writes it
};

// The handler and `service` live on the loop; the service must outlive the call's answer.
std::unique_ptr<http2::StreamHandler> make_http2_call(http2::Stream& stream,
                                                      Http2CallContext context);

}  // namespace depot::builderd

// What a connection asks of the application, whatever HTTP version it speaks.
#pragma once

#include <functional>
#include <string>

#include "http2/server.h"

namespace depot::builderd {

struct HttpRequest {
  std::string method;
  std::string path;  // without a query
  http2::Headers headers;
  std::string body;
  bool trusted = false;  // the peer is our own user, by the kernel's word
};

struct HttpResponse {
  int status = 200;
  http2::Headers headers;
  std::string body;
};

class HttpService {
 public:
  using Done = std::function<void(HttpResponse)>;
  virtual ~HttpService() = default;
  // Calls `done` once, on the loop, at once or later; also when the client has gone meanwhile.
  virtual void handle(HttpRequest request, Done done) = 0;
  // Asked at the end of the headers of a peer that is not trusted. False: the request is refused
  // (401) and nothing of its body is kept.
  virtual bool admits(const http2::Headers& headers) const {
    (void)headers;
    return true;
  }
  // True: the body of a request to `path` is dropped as it comes, however long it is and takes.
  virtual bool drops_body(const std::string& path) const {
    (void)path;
    return false;
  }
  // The words for a request that the transport refuses: too large (413), too slow (408), ...
  virtual HttpResponse refusal(int status) const {
    HttpResponse response;
    response.status = status;
    return response;
  }
};

}  // namespace depot::builderd

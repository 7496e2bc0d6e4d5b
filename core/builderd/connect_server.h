// ConnectServer: Connect unary calls by path, each to its handler, within the caller's timeout.
// Made for any service; what the handlers do is theirs.
//
// Loop thread only. The loop and the server outlive the calls.
#pragma once

#include <functional>
#include <map>
#include <string>

#include "base/loop.h"
#include "builderd/connect_codec.h"
#include "builderd/http_service.h"

namespace depot::builderd {

class ConnectServer : public HttpService {
 public:
  using Answer = std::function<void(ConnectReply)>;
  // Calls the answer once, on the loop, at once or later. After the caller's timeout it is dropped:
  // the caller has had its deadline_exceeded by then.
  using Handler = std::function<void(ConnectCall, Answer)>;

  explicit ConnectServer(base::Loop& loop, ConnectLimits limits = {})
      : loop_(loop), limits_(limits) {}

  // `path` is "/package.Service/Method".
  void add(std::string path, Handler handler);
  // A client stream whose messages nobody wants: they are dropped as they come, and the handler is
  // asked for the answer at the end.
  void add_dropped_stream(std::string path, Handler handler);

  void handle(HttpRequest request, Done done) override;
  bool drops_body(const std::string& path) const override { return streams_.contains(path); }
  HttpResponse refusal(int status) const override;

 private:
  void handle_stream(const Handler& handler, HttpRequest request, Done done);

  base::Loop& loop_;
  const ConnectLimits limits_;
  std::map<std::string, Handler, std::less<>> handlers_, streams_;
};

}  // namespace depot::builderd

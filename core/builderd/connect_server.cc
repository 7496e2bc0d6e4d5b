#include "builderd/connect_server.h"

#include <memory>
#include <utility>

namespace depot::builderd {

using base::Code;
using base::Hop;
using base::Status;

namespace {

Status too_late() {
  return Status(Code::kDeadlineExceeded, Hop::kApi, "the call's timeout is over");
}

// One call under way: answered by its handler or by its timeout, whichever is first.
struct Open {
  HttpService::Done done;
  base::Loop::TimerId timer = 0;
};

}  // namespace

void ConnectServer::add(std::string path, Handler handler) {
  handlers_.emplace(std::move(path), std::move(handler));
}

void ConnectServer::add_dropped_stream(std::string path, Handler handler) {
  streams_.emplace(std::move(path), std::move(handler));
}

void ConnectServer::handle(HttpRequest request, Done done) {
  if (auto stream = streams_.find(request.path); stream != streams_.end()) {
    return handle_stream(stream->second, std::move(request), std::move(done));
  }
  auto found = handlers_.find(request.path);
  if (found == handlers_.end()) {
    HttpResponse response = connect_error(
        Status(Code::kUnimplemented, Hop::kApi, "there is no method of this name here"));
    response.status = 404;
    return done(std::move(response));
  }
  ConnectCall call;
  HttpResponse refused;
  if (!decode_connect(std::move(request), limits_, call, refused)) return done(std::move(refused));
  auto open = std::make_shared<Open>();
  bool accepts_gzip = call.accepts_gzip;
  if (call.timeout) {
    if (call.timeout->count() == 0) return done(connect_error(too_late()));
    open->timer = loop_.run_after(*call.timeout, [open] {
      if (open->done) std::exchange(open->done, nullptr)(connect_error(too_late()));
    });
  }
  open->done = std::move(done);
  found->second(
      std::move(call), [open, accepts_gzip, loop = &loop_, limits = limits_](ConnectReply reply) {
        if (!open->done) return;
        loop->cancel_timer(open->timer);
        std::exchange(open->done, nullptr)(encode_connect(std::move(reply), accepts_gzip, limits));
      });
}

void ConnectServer::handle_stream(const Handler& handler, HttpRequest request, Done done) {
  HttpResponse refused;
  if (request.method != "POST") {
    refused.status = 405;
    refused.headers.add("allow", "POST");
    return done(std::move(refused));
  }
  if (request.headers.find("content-type").value_or("") != "application/connect+proto") {
    refused.status = 415;
    refused.headers.add("accept-post", "application/connect+proto");
    return done(std::move(refused));
  }
  ConnectCall call;
  call.path = std::move(request.path);
  call.headers = std::move(request.headers);
  call.trusted = request.trusted;
  handler(std::move(call), [done = std::move(done)](ConnectReply reply) {
    done(encode_connect_stream(std::move(reply)));
  });
}

HttpResponse ConnectServer::refusal(int status) const {
  Code code = status == 413   ? Code::kResourceExhausted
              : status == 408 ? Code::kDeadlineExceeded
              : status == 401 ? Code::kUnauthenticated
                              : Code::kInvalidArgument;
  const char* message = status == 413   ? "the request is too large"
                        : status == 408 ? "the request took too long to arrive"
                        : status == 401 ? "a token that is valid here is required"
                                        : "the request is malformed";
  HttpResponse response = connect_error(Status(code, Hop::kApi, message));
  response.status = status;
  return response;
}

}  // namespace depot::builderd

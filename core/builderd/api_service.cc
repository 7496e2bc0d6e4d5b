#include "builderd/api_service.h"

#include <utility>

#include "builderd/build_service.h"
#include "builderd/version.h"
#include "localbuilder/handshake.h"
#include "wire/methods.h"

namespace depot::builderd {

using base::Code;
using base::Hop;
using base::Status;

namespace {

base::Secret bearer_of(const http2::Headers& headers) {
  constexpr std::string_view kScheme = "bearer ";
  std::string_view value = headers.find("authorization").value_or("");
  for (size_t i = 0; i < kScheme.size(); ++i) {
    char c = i < value.size() ? value[i] : '\0';
    if ((c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c) != kScheme[i]) return base::Secret();
  }
  return base::Secret(value.substr(kScheme.size()));
}

// The protocol's errors have no place for what to do about them but the message.
Status with_hint_inside(const Status& status) {
  if (status.ok() || status.error().hint.empty()) return status;
  base::Error error = status.error();
  error.message += " (" + std::exchange(error.hint, std::string()) + ")";
  return Status(std::move(error));
}

HttpResponse plain(int status, std::string text) {
  HttpResponse response;
  response.status = status;
  response.headers.add("content-type", "text/plain; charset=utf-8");
  response.body = std::move(text);
  return response;
}

}  // namespace

ApiService::ApiService(base::EpollLoop& loop, ControlPlane& plane, Books& books,
                       const base::Secret& user_token, std::function<void()> retire)
    : loop_(loop),
      plane_(plane),
      books_(books),
      user_token_(user_token),
      retire_(std::move(retire)),
      connect_(loop) {
  for (auto& [path, rpc] : build_service(plane, user_token)) {
    connect_.add(path, [rpc = rpc](ConnectCall call, ConnectServer::Answer answer) {
      RpcContext context{bearer_of(call.headers), call.trusted};
      rpc(context, call.message, [answer = std::move(answer)](base::Result<std::string> result) {
        if (result.ok()) return answer(std::move(result));
        answer(base::Result<std::string>(with_hint_inside(result.status())));
      });
    });
  }
  // The progress of a build, as Depot's command line mirrors it: nobody here looks at it.
  connect_.add_dropped_stream(
      std::string(wire::kBuildReportStatusStream),
      [](const ConnectCall& call, const ConnectServer::Answer& answer) {
        if (!call.trusted && bearer_of(call.headers).empty()) {
          return answer(base::Result<std::string>(
              Status(Code::kUnauthenticated, Hop::kBuilder, "the build's token is required")));
        }
        answer(base::Result<std::string>(std::string()));
      });
}

bool ApiService::admits(const http2::Headers& headers) const {
  const base::Secret token = bearer_of(headers);
  return !token.empty() && (same_secret(token, user_token_) || plane_.knows_token(token.reveal()));
}

void ApiService::handle(HttpRequest request, Done done) {
  if (request.path == localbuilder::kHelloPath) return done(hello(request));
  if (request.path == localbuilder::kRetirePath) return done(retire(request));
  if (Books::knows(request.path)) {
    if (!request.trusted) return done(plain(403, "for the local user alone\n"));
    if (request.method != "POST") return done(plain(405, "POST only\n"));
    plane_.touch();
    return books_.handle(request, std::move(done));
  }
  plane_.touch();
  connect_.handle(std::move(request), std::move(done));
}

HttpResponse ApiService::hello(const HttpRequest& request) const {
  if (!request.trusted) return plain(403, "for the local user alone\n");
  if (request.method != "GET") return plain(405, "GET only\n");
  plane_.touch();  // who asks is about to make a build
  localbuilder::Hello hello;
  hello.version = kVersion;
  hello.protocol = localbuilder::kProtocol;
  hello.oldest = localbuilder::kOldestProtocol;
  hello.builds = static_cast<int32_t>(plane_.live_builds());
  return plain(200, localbuilder::format_hello(hello));
}

HttpResponse ApiService::retire(const HttpRequest& request) {
  if (!request.trusted) return plain(403, "for the local user alone\n");
  if (request.method != "POST") return plain(405, "POST only\n");
  if (size_t builds = plane_.live_builds(); builds > 0) {
    return plain(409, std::to_string(builds) + " builds are active\n");
  }
  loop_.post(retire_);
  return plain(200, "the local builder ends\n");
}

}  // namespace depot::builderd

// The local builder's HTTP and Connect code with the conformance suite's service in place of ours.
// Reads one ServerCompatRequest from standard input, serves as it says, tells where in a
// ServerCompatResponse on standard output, and goes on until the suite kills it.
#include <arpa/inet.h>
#include <unistd.h>

#include <cstdio>
#include <optional>
#include <string>

#include "base/epoll_loop.h"
#include "builderd/connect_server.h"
#include "builderd/server.h"
#include "builderd/tls_pipe.h"
#include "connectrpc/conformance/v1/server_compat.pb.h"
#include "connectrpc/conformance/v1/service.pb.h"

namespace {

using namespace depot;
namespace suite = ::connectrpc::conformance::v1;
using Answer = builderd::ConnectServer::Answer;

constexpr char kType[] = "type.googleapis.com/connectrpc.conformance.v1.";
constexpr char kPath[] = "/connectrpc.conformance.v1.ConformanceService/";

bool read_all(void* out, size_t size) {
  auto* at = static_cast<char*>(out);
  while (size > 0) {
    ssize_t n = ::read(0, at, size);
    if (n <= 0) return false;
    at += n;
    size -= static_cast<size_t>(n);
  }
  return true;
}

std::optional<suite::ServerCompatRequest> read_request() {
  uint32_t size = 0;
  if (!read_all(&size, sizeof size)) return std::nullopt;
  std::string bytes(ntohl(size), '\0');
  suite::ServerCompatRequest request;
  if (!read_all(bytes.data(), bytes.size()) || !request.ParseFromString(bytes)) return std::nullopt;
  return request;
}

suite::ConformancePayload::RequestInfo info_of(const builderd::ConnectCall& call,
                                               const char* message_name) {
  suite::ConformancePayload::RequestInfo info;
  for (const http2::Header& header : call.headers) {
    suite::Header* to = nullptr;
    for (auto& one : *info.mutable_request_headers()) {
      if (one.name() == header.name) to = &one;
    }
    if (!to) {
      to = info.add_request_headers();
      to->set_name(header.name);
    }
    to->add_value(header.value);
  }
  if (call.timeout) info.set_timeout_ms(call.timeout->count());
  auto* any = info.add_requests();
  any->set_type_url(std::string(kType) + message_name);
  any->set_value(call.message);
  return info;
}

template <class From>
void add_metadata(const From& from, http2::Headers& to) {
  for (const suite::Header& header : from) {
    for (const std::string& value : header.value()) to.add(header.name(), value);
  }
}

base::Status error_of(const suite::Error& from,
                      const suite::ConformancePayload::RequestInfo& info) {
  base::Error error;
  error.code = static_cast<base::Code>(from.code());
  error.message = from.message();
  for (const auto& detail : from.details()) {
    error.details.push_back({detail.type_url(), detail.value()});
  }
  error.details.push_back(
      {std::string(kType) + "ConformancePayload.RequestInfo", info.SerializeAsString()});
  return base::Status(std::move(error));
}

// Answers as the request itself says.
template <class Request, class Response>
void unary(base::Loop& loop, const char* name, const builderd::ConnectCall& call, Answer answer) {
  Request request;
  if (!request.ParseFromString(call.message)) {
    return answer(base::Result<std::string>(
        base::Status(base::Code::kInvalidArgument, base::Hop::kApi, "the request is malformed")));
  }
  auto info = info_of(call, name);
  const auto& wanted = request.response_definition();
  Response response;
  response.mutable_payload()->set_data(wanted.response_data());
  *response.mutable_payload()->mutable_request_info() = info;
  builderd::ConnectReply reply = wanted.has_error()
                                     ? base::Result<std::string>(error_of(wanted.error(), info))
                                     : base::Result<std::string>(response.SerializeAsString());
  add_metadata(wanted.response_headers(), reply.headers);
  add_metadata(wanted.response_trailers(), reply.trailers);
  if (wanted.response_delay_ms() == 0) return answer(std::move(reply));
  loop.run_after(std::chrono::milliseconds(wanted.response_delay_ms()),
                 [answer = std::move(answer), reply = std::move(reply)] { answer(reply); });
}

int serve(const suite::ServerCompatRequest& request) {
  base::EpollLoop loop;
  builderd::ConnectLimits limits;
  limits.compress_from = 1;
  if (request.message_receive_limit() > 0) limits.max_message = request.message_receive_limit();
  builderd::ConnectServer service(loop, limits);
  service.add(std::string(kPath) + "Unary", [&](builderd::ConnectCall call, Answer answer) {
    unary<suite::UnaryRequest, suite::UnaryResponse>(loop, "UnaryRequest", call, std::move(answer));
  });
  service.add(std::string(kPath) + "IdempotentUnary",
              [&](builderd::ConnectCall call, Answer answer) {
                unary<suite::IdempotentUnaryRequest, suite::IdempotentUnaryResponse>(
                    loop, "IdempotentUnaryRequest", call, std::move(answer));
              });
  builderd::Server server(loop, service, nullptr);
  builderd::SslContext tls;
  if (request.use_tls()) {
    auto made = builderd::make_server_context(
        request.server_creds().cert(), request.server_creds().key(), request.client_tls_cert());
    if (!made.ok()) {
      std::fprintf(stderr, "%s\n", made.status().message().c_str());
      return 1;
    }
    tls = std::move(*made);
  }
  auto port = server.listen_tcp("127.0.0.1:0", std::move(tls));
  if (!port.ok()) {
    std::fprintf(stderr, "%s\n", port.status().message().c_str());
    return 1;
  }
  suite::ServerCompatResponse response;
  response.set_host("127.0.0.1");
  response.set_port(*port);
  if (request.use_tls()) response.set_pem_cert(request.server_creds().cert());
  std::string bytes = response.SerializeAsString();
  uint32_t size = htonl(static_cast<uint32_t>(bytes.size()));
  bytes.insert(0, reinterpret_cast<const char*>(&size), sizeof size);
  if (::write(1, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) return 1;
  loop.run();
  return 0;
}

}  // namespace

int main() {
  auto request = read_request();
  if (!request) {
    std::fprintf(stderr, "want a ServerCompatRequest on standard input\n");
    return 2;
  }
  return serve(*request);
}

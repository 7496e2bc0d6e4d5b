// The API client as connectconformance drives it: requests on standard input, results on standard
// output, each a big-endian 32-bit size and a message.
#include <unistd.h>

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <future>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/pool.h"
#include "connectrpc/conformance/v1/client_compat.pb.h"
#include "depotapi/connect.h"

namespace depot::conformance {
namespace {

namespace pb = ::connectrpc::conformance::v1;
using depotapi::Metadata;

constexpr size_t kAtOnce = 8;
constexpr size_t kMostInput = 64 << 20;

bool read_all(char* data, size_t size) {
  while (size > 0) {
    ssize_t got = ::read(STDIN_FILENO, data, size);
    if (got <= 0) return false;
    data += got;
    size -= static_cast<size_t>(got);
  }
  return true;
}

bool read_message(pb::ClientCompatRequest& message) {
  unsigned char head[4];
  if (!read_all(reinterpret_cast<char*>(head), sizeof(head))) return false;
  size_t size = size_t{head[0]} << 24 | size_t{head[1]} << 16 | size_t{head[2]} << 8 | head[3];
  if (size > kMostInput) return false;
  std::string bytes(size, '\0');
  return read_all(bytes.data(), size) && message.ParseFromString(bytes);
}

void write_message(const pb::ClientCompatResponse& message) {
  static std::mutex one_at_a_time;
  std::string bytes = message.SerializeAsString();
  auto size = static_cast<uint32_t>(bytes.size());
  const char head[] = {static_cast<char>(size >> 24), static_cast<char>(size >> 16),
                       static_cast<char>(size >> 8), static_cast<char>(size)};
  std::lock_guard lock(one_at_a_time);
  std::fwrite(head, 1, sizeof(head), stdout);
  std::fwrite(bytes.data(), 1, bytes.size(), stdout);
  std::fflush(stdout);
}

// One HTTP client per server certificate, as a program that talks to several APIs would have.
// Emptied by run(): a client's thread must not outlive main(), after which OpenSSL tidies up.
std::map<std::string, std::shared_ptr<http::Client>> clients;

std::shared_ptr<http::Client> client_for(const std::string& certificate) {
  static std::mutex mutex;
  std::lock_guard lock(mutex);
  auto& client = clients[certificate];
  if (!client) {
    http::Options options;
    options.user_agent = "libdepot-conformance";
    options.ca_pem = certificate;
    options.environment.emplace();
    client = http::Client::create(std::move(options));
  }
  return client;
}

template <class Headers>
void add_metadata(const Metadata& metadata, Headers* headers) {
  std::map<std::string, pb::Header*> by_name;
  for (const auto& [name, value] : metadata) {
    pb::Header*& header = by_name[name];
    if (!header) {
      header = headers->Add();
      header->set_name(name);
    }
    header->add_value(value);
  }
}

std::string invalid(const pb::ClientCompatRequest& in) {
  if (in.protocol() != pb::PROTOCOL_CONNECT) return "not the Connect protocol";
  if (in.codec() != pb::CODEC_PROTO) return "not the proto codec";
  if (in.stream_type() != pb::STREAM_TYPE_UNARY) return "not a unary call";
  if (in.compression() != pb::COMPRESSION_IDENTITY && in.compression() != pb::COMPRESSION_GZIP)
    return "neither identity nor gzip";
  if (in.http_version() != pb::HTTP_VERSION_1 && in.http_version() != pb::HTTP_VERSION_2)
    return "neither HTTP/1.1 nor HTTP/2";
  if (in.request_messages_size() != 1) return "not one message";
  return "";
}

void carry_out(const pb::ClientCompatRequest& in, pb::ClientResponseResult& out) {
  bool tls = !in.server_tls_cert().empty();
  depotapi::UnaryRequest request;
  request.path =
      "/" + (in.has_service() ? in.service() : "connectrpc.conformance.v1.ConformanceService");
  request.path += "/" + (in.has_method() ? in.method() : "Unary");
  request.message = base::Secret(in.request_messages(0).value());
  for (const pb::Header& header : in.request_headers())
    for (const std::string& value : header.value())
      request.headers.emplace_back(header.name(), value);
  request.timeout = std::chrono::minutes(2);
  request.tell_timeout = in.has_timeout_ms();
  if (in.has_timeout_ms()) request.timeout = std::chrono::milliseconds(in.timeout_ms());
  request.gzip = in.compression() == pb::COMPRESSION_GZIP;
  request.get = in.use_get_http_method();
  if (in.message_receive_limit()) request.max_message = in.message_receive_limit();
  // As in a build: the version is found out, never told.
  request.version = http::Version::kDefault;

  depotapi::ConnectClient client(
      client_for(in.server_tls_cert()),
      (tls ? "https://" : "http://") + in.host() + ":" + std::to_string(in.port()));
  base::Cancel cancel;
  std::thread canceller;
  std::promise<void> answered;
  if (in.has_cancel()) {
    canceller = std::thread([&, over = answered.get_future()] {
      over.wait_for(std::chrono::milliseconds(in.cancel().after_close_send_ms()));
      cancel.trigger();
    });
  }
  depotapi::UnaryAnswer answer = client.call(std::move(request), cancel);
  answered.set_value();
  if (canceller.joinable()) canceller.join();

  add_metadata(answer.headers, out.mutable_response_headers());
  add_metadata(answer.trailers, out.mutable_response_trailers());
  pb::UnaryResponse parsed;  // IdempotentUnaryResponse is the same on the wire
  if (answer.status.ok() && !parsed.ParseFromString(answer.message))
    answer.status = base::Status(base::Code::kInternal, base::Hop::kApi, "not a message");
  if (answer.status.ok()) {
    *out.add_payloads() = parsed.payload();
    return;
  }
  pb::Error* error = out.mutable_error();
  error->set_code(static_cast<pb::Code>(answer.status.code()));
  error->set_message(answer.status.message());
  for (const base::ErrorDetail& detail : answer.status.error().details) {
    google::protobuf::Any* any = error->add_details();
    any->set_type_url(detail.type_url);
    any->set_value(detail.value);
  }
}

int run() {
  base::Pool pool(kAtOnce);
  std::vector<std::future<void>> results;
  for (;;) {
    auto request = std::make_shared<pb::ClientCompatRequest>();
    if (!read_message(*request)) break;
    auto done = std::make_shared<std::promise<void>>();
    results.push_back(done->get_future());
    pool.add([request, done] {
      pb::ClientCompatResponse response;
      response.set_test_name(request->test_name());
      if (std::string why = invalid(*request); !why.empty())
        response.mutable_error()->set_message(why);
      else
        carry_out(*request, *response.mutable_response());
      write_message(response);
      done->set_value();
    });
  }
  for (auto& result : results) result.wait();
  clients.clear();
  return 0;
}

}  // namespace
}  // namespace depot::conformance

int main() {
  return depot::conformance::run();
}

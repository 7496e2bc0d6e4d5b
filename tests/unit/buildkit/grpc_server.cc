#include "grpc_server.h"

#include <grpcpp/security/server_credentials.h>
#include <unistd.h>

#include <atomic>
#include <sstream>

namespace depot::buildkit {
namespace {

std::string text_of(const grpc::ByteBuffer& buffer) {
  std::vector<grpc::Slice> slices;
  (void)buffer.Dump(&slices);
  std::string text;
  for (const auto& slice : slices)
    text.append(reinterpret_cast<const char*>(slice.begin()), slice.size());
  return text;
}

grpc::ByteBuffer buffer_of(const std::string& text) {
  grpc::Slice slice(text);
  return grpc::ByteBuffer(&slice, 1);
}

class Reactor final : public grpc::ServerBidiReactor<grpc::ByteBuffer, grpc::ByteBuffer> {
 public:
  Reactor(grpc::GenericCallbackServerContext* context, std::atomic<int>& cancelled)
      : context_(context), path_(context->method()), cancelled_(cancelled) {
    if (path_.starts_with("/flood/")) {
      left_ = std::stoi(path_.substr(7));
      flood();
    } else if (path_ == "/headers") {
      std::ostringstream text;
      for (const auto& [name, value] : context->client_metadata())
        text << std::string(name.data(), name.size()) << ": "
             << std::string(value.data(), value.size()) << "\n";
      out_ = buffer_of(text.str());
      ending_ = true;
      StartWrite(&out_);
    } else if (path_ == "/fail") {
      Finish({grpc::StatusCode::ABORTED, "100 % \xc3\xa4h\n", std::string(200 << 10, 'd')});
    } else if (path_ != "/sleep") {
      StartRead(&in_);
    }
  }

  void OnReadDone(bool ok) override {
    if (ok) {
      std::string text = text_of(in_);
      ++messages_;
      bytes_ += text.size();
      if (path_ == "/echo") {
        out_ = buffer_of(text);
        return StartWrite(&out_);
      }
      return StartRead(&in_);
    }
    if (path_ != "/count") return Finish(grpc::Status::OK);
    out_ = buffer_of(std::to_string(messages_) + " " + std::to_string(bytes_));
    ending_ = true;
    StartWrite(&out_);
  }
  void OnWriteDone(bool ok) override {
    if (!ok || ending_) return Finish(grpc::Status::OK);
    if (path_ == "/echo") return StartRead(&in_);
    flood();
  }
  void OnCancel() override {
    ++cancelled_;
    if (path_ == "/sleep") Finish(grpc::Status::CANCELLED);
  }
  void OnDone() override { delete this; }

 private:
  void flood() {
    if (left_-- == 0) return Finish(grpc::Status::OK);
    out_ = buffer_of(std::string(64 << 10, static_cast<char>('a' + left_ % 26)));
    StartWrite(&out_);
  }

  grpc::GenericCallbackServerContext* context_;
  std::string path_;
  std::atomic<int>& cancelled_;
  grpc::ByteBuffer in_, out_;
  int left_ = 0;
  size_t messages_ = 0, bytes_ = 0;
  bool ending_ = false;
};

}  // namespace

class GrpcServer::Service final : public grpc::CallbackGenericService {
 public:
  grpc::ServerGenericBidiReactor* CreateReactor(
      grpc::GenericCallbackServerContext* context) override {
    return new Reactor(context, cancelled);
  }
  std::atomic<int> cancelled{0};
};

GrpcServer::GrpcServer(const std::string& path, bool gzip)
    : path_(path), service_(std::make_unique<Service>()) {
  grpc::ServerBuilder builder;
  builder.AddListeningPort("unix:" + path, grpc::InsecureServerCredentials());
  builder.RegisterCallbackGenericService(service_.get());
  builder.SetMaxReceiveMessageSize(64 << 20);
  builder.AddChannelArgument(GRPC_ARG_MAX_METADATA_SIZE, 1 << 20);
  if (gzip) builder.SetDefaultCompressionAlgorithm(GRPC_COMPRESS_GZIP);
  server_ = builder.BuildAndStart();
}

GrpcServer::~GrpcServer() {
  server_->Shutdown(std::chrono::system_clock::now());
  if (shutting_down_.joinable()) shutting_down_.join();
  server_->Wait();
}

void GrpcServer::shut_down() {
  // Waits for the calls that run.
  shutting_down_ = std::thread([this] { server_->Shutdown(); });
}

int GrpcServer::cancelled() const {
  return service_->cancelled;
}

}  // namespace depot::buildkit

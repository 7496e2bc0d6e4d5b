#include "http2/grpc.h"

#include <algorithm>
#include <cstring>
#include <deque>

#include "base/secret.h"
#include "http2/grpc_status.h"
#include "http2/message_reader.h"

namespace depot::http2 {
namespace {

using base::Code;
using base::Hop;
using base::Status;

constexpr size_t kMaxUnaryRequest = 256 << 10;
constexpr size_t kMaxPartial = 64 << 20;

Headers response_headers() {
  return Headers{{":status", "200"}, {"content-type", "application/grpc"}};
}

// Messages waiting to be pulled, then the trailers.
struct Outbox {
  std::deque<std::string> messages;  // framed
  size_t offset = 0;                 // into the first
  size_t bytes = 0;                  // of all, minus offset
  bool finished = false;
  Status status;
};

class OutboxBody final : public BodySource {
 public:
  explicit OutboxBody(std::shared_ptr<Outbox> outbox) : outbox_(std::move(outbox)) {}

  BodyRead read(std::span<uint8_t> out) override {
    size_t written = 0;
    while (!outbox_->messages.empty() && written < out.size()) {
      auto& front = outbox_->messages.front();
      size_t size = std::min(front.size() - outbox_->offset, out.size() - written);
      std::memcpy(out.data() + written, front.data() + outbox_->offset, size);
      written += size;
      outbox_->offset += size;
      outbox_->bytes -= size;
      if (outbox_->offset == front.size()) {
        base::wipe(front);  // it may have been a password
        outbox_->messages.pop_front();
        outbox_->offset = 0;
      }
    }
    if (!outbox_->messages.empty()) return {written, BodyState::kMore};
    return {written, outbox_->finished ? BodyState::kEnd : BodyState::kPending};
  }

  Headers trailers() override {
    Headers headers;
    add_grpc_status(headers, outbox_->status);
    return headers;
  }

 private:
  std::shared_ptr<Outbox> outbox_;
};

// A handler's own source; its end ends the call.
class SourceBody final : public BodySource {
 public:
  SourceBody(std::unique_ptr<BodySource> source, std::function<Status()> status,
             std::shared_ptr<Outbox> outbox)
      : source_(std::move(source)), status_(std::move(status)), outbox_(std::move(outbox)) {}

  BodyRead read(std::span<uint8_t> out) override {
    // finish() was called: what the source still had is of no use any more.
    if (outbox_->finished) return {0, BodyState::kEnd};
    BodyRead read = source_->read(out);
    note(read.state);
    return read;
  }

  BodyLoan lend(size_t max) override {
    if (outbox_->finished) return {};
    BodyLoan loan = source_->lend(max);
    note(loan.state);
    return loan;
  }

  Headers trailers() override {
    Headers headers;
    add_grpc_status(headers, outbox_->status);
    return headers;
  }

 private:
  void note(BodyState state) {
    if (state != BodyState::kEnd) return;
    outbox_->finished = true;
    outbox_->status = status_();
  }

  std::unique_ptr<BodySource> source_;
  std::function<Status()> status_;
  std::shared_ptr<Outbox> outbox_;
};

class CallImpl final : public Call {
 public:
  explicit CallImpl(Stream& stream) : stream_(&stream), metadata_(stream.request()) {}

  const Headers& metadata() const override { return metadata_; }

  void send(std::string_view message) override {
    if (!stream_ || outbox_->finished) return;
    std::string framed;
    framed.reserve(5 + message.size());
    framed.push_back(0);
    for (int shift = 24; shift >= 0; shift -= 8)
      framed.push_back(static_cast<char>(message.size() >> shift & 0xff));
    framed += message;
    outbox_->bytes += framed.size();
    outbox_->messages.push_back(std::move(framed));
    start();
    stream_->resume();
  }

  size_t queued() const override { return outbox_->bytes; }

  void stream(std::unique_ptr<BodySource> source, std::function<Status()> source_status) override {
    if (!stream_ || started_) return;
    started_ = true;
    stream_->respond(response_headers(), std::make_unique<SourceBody>(
                                             std::move(source), std::move(source_status), outbox_));
  }

  void resume() override {
    if (stream_) stream_->resume();
  }

  void finish(const Status& status) override {
    if (!stream_ || outbox_->finished) return;
    outbox_->finished = true;
    outbox_->status = status;
    if (started_) {
      stream_->resume();
      return;
    }
    started_ = true;
    Headers headers = response_headers();
    add_grpc_status(headers, status);
    stream_->respond(std::move(headers), nullptr);
  }

  void hold(bool on) override {
    held_ = on;
    if (!on && stream_) stream_->consume(std::exchange(owed_, 0));
  }

  bool ended() const override { return stream_ == nullptr; }

  // The window of what came: given back at once, or when the hold is over.
  void received(size_t bytes) {
    owed_ += bytes;
    if (!held_ && stream_) stream_->consume(std::exchange(owed_, 0));
  }
  bool finished() const { return outbox_->finished; }
  void close() { stream_ = nullptr; }

 private:
  void start() {
    if (started_) return;
    started_ = true;
    stream_->respond(response_headers(), std::make_unique<OutboxBody>(outbox_));
  }

  Stream* stream_;
  const Headers metadata_;  // the call may outlive its stream
  std::shared_ptr<Outbox> outbox_ = std::make_shared<Outbox>();
  bool started_ = false;
  bool held_ = false;
  size_t owed_ = 0;
};

class GrpcStream final : public StreamHandler {
 public:
  GrpcStream(Stream& stream, size_t max_message, std::shared_ptr<size_t> partial)
      : call_(std::make_shared<CallImpl>(stream)),
        reader_(max_message),
        partial_(std::move(partial)) {}
  ~GrpcStream() override { *partial_ -= counted_; }

  const std::shared_ptr<CallImpl>& call() { return call_; }
  void set_handler(std::unique_ptr<CallHandler> handler) { handler_ = std::move(handler); }

  void on_data(std::span<const uint8_t> data) override {
    if (handler_ && !call_->finished()) {
      auto whole = [this](std::span<const uint8_t> message) {
        handler_->on_message(message);
        return !call_->finished();
      };
      auto part = [this](std::span<const uint8_t> bytes, size_t left) {
        return handler_->on_part(bytes, left) && !call_->finished();
      };
      Status status = reader_.feed(data, whole, part);
      count();
      if (status.ok() && *partial_ > kMaxPartial)
        status = Status(Code::kResourceExhausted, Hop::kSession, "too many messages are begun");
      if (!status.ok()) call_->finish(status);
    }
    if (call_->finished()) {  // what comes yet is not read
      reader_.drop();
      count();
    }
    call_->received(data.size());
  }

  void on_end() override {
    if (!handler_ || call_->finished()) return;
    if (!reader_.at_boundary()) {
      call_->finish(Status(Code::kInternal, Hop::kSession, "the stream ended within a message"));
      return;
    }
    handler_->on_half_close();
  }

  void on_close(uint32_t code) override {
    call_->close();
    if (!handler_) return;
    auto handler = std::move(handler_);
    handler->on_end(code == 0 && call_->finished()
                        ? Status()
                        : Status(Code::kCancelled, Hop::kSession, "the call was broken off"));
  }

 private:
  void count() {
    *partial_ += reader_.held() - counted_;
    counted_ = reader_.held();
  }

  std::shared_ptr<CallImpl> call_;
  MessageReader reader_;
  const std::shared_ptr<size_t> partial_;  // of all calls
  size_t counted_ = 0;                     // of it, ours
  std::unique_ptr<CallHandler> handler_;
};

// One request, then one answer, now or later.
class UnaryHandler final : public CallHandler {
 public:
  UnaryHandler(std::shared_ptr<Call> call, GrpcServer::AsyncUnary answer)
      : call_(std::move(call)), answer_(std::move(answer)) {}

  void on_message(std::span<const uint8_t> message) override {
    if (std::exchange(asked_, true)) return;
    std::string request(reinterpret_cast<const char*>(message.data()), message.size());
    answer_(std::move(request), call_->metadata(),
            [weak = std::weak_ptr<Call>(call_)](base::Result<std::string> result) {
              auto call = weak.lock();
              if (!call) return;
              if (result.ok()) {
                call->send(*result);
                base::wipe(*result);  // it may have been a password
              }
              call->finish(result.status());
            });
  }

  void on_half_close() override {
    if (!asked_)
      call_->finish(Status(Code::kInternal, Hop::kSession, "the request has no message"));
  }

 private:
  std::shared_ptr<Call> call_;
  GrpcServer::AsyncUnary answer_;
  bool asked_ = false;
};

}  // namespace

void GrpcServer::add(std::string path, Method method, size_t max_message) {
  methods_.insert_or_assign(std::move(path), Entry{std::move(method), max_message});
}

void GrpcServer::add_unary(std::string path, Unary method) {
  add_async_unary(std::move(path), [method = std::move(method)](const std::string& request,
                                                                const Headers& metadata,
                                                                const UnaryDone& done) {
    done(method({reinterpret_cast<const uint8_t*>(request.data()), request.size()}, metadata));
  });
}

void GrpcServer::add_async_unary(std::string path, AsyncUnary method) {
  add(
      std::move(path),
      [method = std::move(method)](std::shared_ptr<Call> call) {
        return std::make_unique<UnaryHandler>(std::move(call), method);
      },
      kMaxUnaryRequest);
}

std::vector<std::string> GrpcServer::paths() const {
  std::vector<std::string> paths;
  for (const auto& [path, entry] : methods_) paths.push_back(path);
  return paths;
}

std::unique_ptr<StreamHandler> GrpcServer::accept(Stream& stream) const {
  auto type = stream.request().find("content-type");
  bool post = stream.request().find(":method") == "POST";
  if (!post || !type || !type->starts_with("application/grpc")) {
    stream.respond(Headers{{":status", post ? "415" : "405"}}, nullptr);
    return std::make_unique<GrpcStream>(stream, 0, partial_);
  }
  std::string_view path = stream.request().find(":path").value_or("");
  auto found = methods_.find(path);
  if (found == methods_.end()) {
    auto handler = std::make_unique<GrpcStream>(stream, 0, partial_);
    handler->call()->finish(Status(Code::kUnimplemented, Hop::kSession,
                                   "unknown method " + std::string(path.substr(0, 256))));
    return handler;
  }
  auto handler = std::make_unique<GrpcStream>(stream, found->second.max_message, partial_);
  handler->set_handler(found->second.method(handler->call()));
  return handler;
}

}  // namespace depot::http2

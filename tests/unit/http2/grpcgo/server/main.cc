// Serves gRPC on the socket that is file descriptor 3, until the peer goes.
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cstring>
#include <set>
#include <utility>

#include "http2/grpc.h"

namespace depot::http2 {
namespace {

using base::Code;
using base::Hop;
using base::Status;

constexpr int kSocket = 3;

std::string text(std::span<const uint8_t> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

// Echoes each message; ends when the client does.
class Chat : public CallHandler {
 public:
  explicit Chat(std::shared_ptr<Call> call) : call_(std::move(call)) {}
  void on_message(std::span<const uint8_t> message) override { call_->send(text(message)); }
  void on_half_close() override { call_->finish({}); }

 private:
  std::shared_ptr<Call> call_;
};

// As many messages as were asked for, each of its number's low byte, written into the frames.
class Flood final : public CallHandler {
 public:
  explicit Flood(std::shared_ptr<Call> call) : call_(std::move(call)) {}
  void on_message(std::span<const uint8_t> message) override {
    size_t count = std::stoul(text(message));
    call_->stream(std::make_unique<Source>(count), [] { return Status(); });
  }

 private:
  class Source final : public BodySource {
   public:
    explicit Source(size_t count) : left_(count) {}
    BodyRead read(std::span<uint8_t> out) override {
      size_t written = 0;
      while (written < out.size()) {
        if (at_ == message_.size()) {
          if (left_ == 0) return {written, BodyState::kEnd};
          next();
        }
        size_t size = std::min(out.size() - written, message_.size() - at_);
        std::memcpy(out.data() + written, message_.data() + at_, size);
        at_ += size;
        written += size;
      }
      return {written, BodyState::kMore};
    }

   private:
    void next() {
      size_t size = left_ * 7919 % 40000;
      message_.assign(1, '\0');
      for (int shift = 24; shift >= 0; shift -= 8)
        message_.push_back(static_cast<char>(size >> shift & 0xff));
      message_.append(size, static_cast<char>(left_));
      at_ = 0;
      --left_;
    }
    size_t left_;
    std::string message_;
    size_t at_ = 0;
  };

  std::shared_ptr<Call> call_;
};

struct State {
  std::set<std::shared_ptr<Call>> held;
  int ends = 0;
  bool bye = false;
};

// Takes messages and holds the client back after the first.
class Hold final : public CallHandler {
 public:
  Hold(std::shared_ptr<Call> call, State& state) : call_(std::move(call)), state_(state) {}
  void on_message(std::span<const uint8_t> message) override {
    if (bytes_ == 0) {
      call_->hold(true);
      state_.held.insert(call_);
    }
    bytes_ += message.size();
  }
  void on_half_close() override {
    call_->send(std::to_string(bytes_));
    call_->finish({});
  }
  void on_end(const Status&) override {
    ++state_.ends;
    state_.held.erase(call_);
  }

 private:
  std::shared_ptr<Call> call_;
  State& state_;
  size_t bytes_ = 0;
};

void add_methods(GrpcServer& server, State& state) {
  server.add_unary("/test.Test/Echo", [](auto request, const Headers& metadata) {
    auto text_of = text(request);
    for (auto value : metadata.all("add")) text_of += value;
    return base::Result<std::string>(std::move(text_of));
  });
  server.add_unary("/test.Test/Fail", [](auto request, const Headers&) {
    base::Error error;
    error.code = Code::kFailedPrecondition;
    error.message = "100 % wrong: " + text(request);
    error.details.push_back({"type.googleapis.com/google.protobuf.Duration", "\x08\x05"});
    return base::Result<std::string>(Status(std::move(error)));
  });
  server.add_unary("/test.Test/Release", [&state](auto, const Headers&) {
    for (const auto& call : state.held) call->hold(false);
    return base::Result<std::string>(std::string());
  });
  server.add_unary("/test.Test/Ends", [&state](auto, const Headers&) {
    return base::Result<std::string>(std::to_string(state.ends));
  });
  server.add_unary("/test.Test/Bye", [&state](auto, const Headers&) {
    state.bye = true;
    return base::Result<std::string>(std::string("bye"));
  });
  server.add("/test.Test/Chat", [](auto call) { return std::make_unique<Chat>(std::move(call)); });
  server.add("/test.Test/Flood",
             [](auto call) { return std::make_unique<Flood>(std::move(call)); });
  server.add("/test.Test/Hold",
             [&state](auto call) { return std::make_unique<Hold>(std::move(call), state); });
}

int serve() {
  State state;
  GrpcServer server;
  add_methods(server, state);
  ServerOptions options;
  options.manual_window = true;
  options.stream_window = 256 << 10;
  auto connection = ServerConnection::create(
      options, [&server](Stream& stream) { return server.accept(stream); });
  std::string in(50000, '\0');
  std::string out;
  for (;;) {
    if (out.empty() && connection->wants_write()) {
      out.resize(64 << 10);
      out.resize(connection->produce({reinterpret_cast<uint8_t*>(out.data()), out.size()}));
    }
    if (out.empty() && connection->finished()) return 0;
    pollfd wait{kSocket, static_cast<short>(out.empty() ? POLLIN : POLLIN | POLLOUT), 0};
    if (::poll(&wait, 1, -1) < 0) return 1;
    if ((wait.revents & POLLOUT) != 0) {
      ssize_t wrote = ::send(kSocket, out.data(), out.size(), MSG_NOSIGNAL);
      if (wrote < 0) return 0;
      out.erase(0, static_cast<size_t>(wrote));
    }
    if ((wait.revents & (POLLIN | POLLHUP | POLLERR)) == 0) continue;
    ssize_t got = ::read(kSocket, in.data(), in.size());
    if (got <= 0) return 0;
    auto status = connection->receive(
        {reinterpret_cast<const uint8_t*>(in.data()), static_cast<size_t>(got)});
    if (!status.ok()) return 2;
    if (std::exchange(state.bye, false)) connection->shut_down();
  }
}

}  // namespace
}  // namespace depot::http2

int main() {
  return depot::http2::serve();
}

// A builder whose solves fail as they are told to: BuildKit's own solver cannot be made to.
#pragma once

#include <gtest/gtest.h>
#include <moby/buildkit/v1/control.pb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "http2/grpc.h"
#include "wire/methods.h"

namespace depot::machine {

class FailingBuilder {
 public:
  // One error for each solve; those after them go well.
  explicit FailingBuilder(std::deque<std::string> errors, std::function<void()> on_solve = {})
      : errors_(std::move(errors)),
        on_solve_(std::move(on_solve)),
        listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener_.get(), 8), 0);
    EXPECT_EQ(::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    address_ = "tcp://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
    server_.add_unary(std::string(wire::kControlSolve),
                      [this](auto, auto&) -> base::Result<std::string> { return solve(); });
    server_.add_unary(std::string(wire::kControlListWorkers),
                      [](auto, auto&) -> base::Result<std::string> { return std::string(); });
    server_.add(std::string(wire::kControlStatus), [](std::shared_ptr<http2::Call> call) {
      call->finish({});
      return std::make_unique<Silent>();
    });
    server_.add(std::string(wire::kControlSession),
                [](const std::shared_ptr<http2::Call>&) { return std::make_unique<Silent>(); });
    thread_ = std::thread([this] { run(); });
  }
  // After the client has closed its connections.
  ~FailingBuilder() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
    for (auto& connection : connections_) connection.join();
  }

  const std::string& address() const { return address_; }
  int solves() const {
    std::lock_guard lock(mutex_);
    return solves_;
  }

 private:
  struct Silent : http2::CallHandler {
    void on_message(std::span<const uint8_t>) override {}
  };

  base::Result<std::string> solve() {
    std::lock_guard lock(mutex_);
    ++solves_;
    if (on_solve_) on_solve_();
    if (errors_.empty()) return std::string();
    std::string error = std::move(errors_.front());
    errors_.pop_front();
    return base::Status(base::Code::kUnknown, base::Hop::kSolve, std::move(error));
  }

  void run() {
    for (;;) {
      auto fd = std::make_shared<base::UniqueFd>(
          ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
      if (fd->get() < 0) return;
      connections_.emplace_back([this, fd] { serve(fd->get()); });
    }
  }

  void serve(int fd) const {
    auto engine = http2::ServerConnection::create(
        {}, [this](http2::Stream& stream) { return server_.accept(stream); });
    uint8_t in[16384];
    uint8_t out[65536];
    for (;;) {
      while (size_t size = engine->produce(out))
        if (::send(fd, out, size, MSG_NOSIGNAL) != static_cast<ssize_t>(size)) return;
      ssize_t got = ::recv(fd, in, sizeof(in), 0);
      if (got <= 0 || !engine->receive({in, static_cast<size_t>(got)}).ok()) return;
    }
  }

  mutable std::mutex mutex_;
  std::deque<std::string> errors_;  // guarded by mutex_
  int solves_ = 0;                  // guarded by mutex_
  std::function<void()> on_solve_;
  base::UniqueFd listener_;
  std::string address_;
  http2::GrpcServer server_;
  std::vector<std::thread> connections_;  // the accepting thread's, then the destructor's
  std::thread thread_;
};

}  // namespace depot::machine

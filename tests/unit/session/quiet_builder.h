#pragma once

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>

#include "base/fd.h"
#include "http2/server.h"
#include "wire/methods.h"

namespace depot::session {

// A builder that takes one connection, speaks HTTP/2 and says nothing of its own accord: a daemon
// that was stopped, but for the answers to ListWorkers, if it gives them.
class QuietBuilder {
 public:
  explicit QuietBuilder(bool answers)
      : answers_(answers), listener_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener_.get(), 8), 0);
    EXPECT_EQ(::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    address_ = "tcp://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
    thread_ = std::thread([this] { run(); });
  }
  // After the client has closed its connection, or never made one.
  ~QuietBuilder() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    thread_.join();
  }

  const std::string& address() const { return address_; }
  void wait_until_asked(int times) {
    std::unique_lock lock(mutex_);
    change_.wait(lock, [&] { return asked_ >= times; });
  }

 private:
  struct Handler : http2::StreamHandler {
    Handler(QuietBuilder& owner, http2::Stream& its) : builder(owner), stream(its) {}
    void on_data(std::span<const uint8_t>) override {}
    void on_end() override {
      if (stream.request().find(":path") != wire::kControlListWorkers) return;
      if (builder.answers_) {
        stream.respond({{":status", "200"},
                        {"content-type", "application/grpc"},
                        {"grpc-status", "12"},
                        {"grpc-message", "no such method"}},
                       nullptr);
      }
      std::lock_guard lock(builder.mutex_);
      ++builder.asked_;
      builder.change_.notify_all();
    }
    void on_close(uint32_t) override {}
    QuietBuilder& builder;
    http2::Stream& stream;
  };

  void run() {
    base::UniqueFd fd(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (fd.get() < 0) return;
    auto engine = http2::ServerConnection::create(
        {}, [this](http2::Stream& stream) { return std::make_unique<Handler>(*this, stream); });
    uint8_t in[16384];
    uint8_t out[65536];
    for (;;) {
      while (size_t size = engine->produce(out))
        if (::send(fd.get(), out, size, MSG_NOSIGNAL) != static_cast<ssize_t>(size)) return;
      ssize_t got = ::recv(fd.get(), in, sizeof(in), 0);
      if (got <= 0 || !engine->receive({in, static_cast<size_t>(got)}).ok()) return;
    }
  }

  const bool answers_;
  base::UniqueFd listener_;
  std::string address_;
  std::thread thread_;
  std::mutex mutex_;
  std::condition_variable change_;
  int asked_ = 0;  // guarded by mutex_
};

}  // namespace depot::session

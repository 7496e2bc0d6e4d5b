#include "builderd/server.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <utility>

namespace depot::builderd {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;
using base::UniqueFd;

namespace {

constexpr size_t kMaxConnections = 1024;
constexpr size_t kMaxStrangers = 128;  // of them: over TCP, where anybody may knock

Status bad_address(const std::string& address, const char* why) {
  return Status(Code::kInvalidArgument, Hop::kBuilder,
                "cannot listen on '" + address + "': " + why);
}

struct Address {
  sockaddr_storage storage{};
  socklen_t size = 0;
  bool loopback = false;
};

Result<Address> parse_address(const std::string& text) {
  size_t colon = text.rfind(':');
  if (colon == std::string::npos) return bad_address(text, "want ADDRESS:PORT");
  std::string host = text.substr(0, colon);
  uint16_t port = 0;
  auto [end, error] = std::from_chars(text.data() + colon + 1, text.data() + text.size(), port);
  if (error != std::errc() || end != text.data() + text.size())
    return bad_address(text, "bad port");
  Address address;
  if (host.size() > 2 && host.front() == '[' && host.back() == ']') {
    auto* v6 = reinterpret_cast<sockaddr_in6*>(&address.storage);
    v6->sin6_family = AF_INET6;
    v6->sin6_port = htons(port);
    if (::inet_pton(AF_INET6, host.substr(1, host.size() - 2).c_str(), &v6->sin6_addr) != 1) {
      return bad_address(text, "not an IP address");
    }
    address.size = sizeof *v6;
    address.loopback = IN6_IS_ADDR_LOOPBACK(&v6->sin6_addr);
  } else {
    auto* v4 = reinterpret_cast<sockaddr_in*>(&address.storage);
    v4->sin_family = AF_INET;
    v4->sin_port = htons(port);
    if (::inet_pton(AF_INET, host.c_str(), &v4->sin_addr) != 1) {
      return bad_address(text, "not an IP address");
    }
    address.size = sizeof *v4;
    address.loopback = (ntohl(v4->sin_addr.s_addr) >> 24) == 127;
  }
  return address;
}

}  // namespace

Server::Server(base::EpollLoop& loop, HttpService& service, base::LogSink log,
               ConnectionLimits limits)
    : loop_(loop), service_(service), log_(std::move(log)), limits_(limits) {}

Server::~Server() {
  loop_.cancel_timer(timer_);
  for (auto& listener : listeners_) loop_.unwatch(listener->fd.get());
  if (!unix_path_.empty()) ::unlink(unix_path_.c_str());
}

Status Server::listen_unix(const std::string& path) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return Status(Code::kInvalidArgument, Hop::kBuilder, "socket path is too long: " + path)
        .with_hint("set LIBDEPOT_RUNTIME_DIR to a shorter path");
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  ::unlink(path.c_str());
  auto listener = std::make_unique<Listener>();
  listener->is_unix = true;
  listener->fd.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  mode_t before = ::umask(0177);
  bool bound =
      listener->fd.valid() &&
      ::bind(listener->fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) == 0;
  int error = errno;
  ::umask(before);
  if (!bound || ::listen(listener->fd.get(), SOMAXCONN) != 0) {
    return base::errno_error(bound ? errno : error, "cannot listen on " + path)
        .with_hop(Hop::kBuilder);
  }
  unix_path_ = path;
  listen(std::move(listener));
  return base::ok_status();
}

Result<uint16_t> Server::listen_tcp(const std::string& text, SslContext tls) {
  DEPOT_ASSIGN(Address address, parse_address(text));
  if (!address.loopback && !tls) return bad_address(text, "only loopback without TLS");
  auto listener = std::make_unique<Listener>();
  listener->tls = std::move(tls);
  listener->fd.reset(
      ::socket(address.storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  int on = 1;
  auto* raw = reinterpret_cast<sockaddr*>(&address.storage);
  if (!listener->fd.valid() ||
      ::setsockopt(listener->fd.get(), SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      ::bind(listener->fd.get(), raw, address.size) != 0 ||
      ::listen(listener->fd.get(), SOMAXCONN) != 0 ||
      ::getsockname(listener->fd.get(), raw, &address.size) != 0) {
    return base::errno_error(errno, "cannot listen on " + text).with_hop(Hop::kBuilder);
  }
  uint16_t port =
      ntohs(address.storage.ss_family == AF_INET6 ? reinterpret_cast<sockaddr_in6*>(raw)->sin6_port
                                                  : reinterpret_cast<sockaddr_in*>(raw)->sin_port);
  listen(std::move(listener));
  return port;
}

void Server::listen(std::unique_ptr<Listener> listener) {
  Listener* raw = listener.get();
  loop_.watch(raw->fd.get(), EPOLLIN, [this, raw](uint32_t) { accept_from(*raw); });
  listeners_.push_back(std::move(listener));
}

void Server::accept_from(Listener& listener) {
  for (int i = 0; i < 16; ++i) {
    UniqueFd fd(::accept4(listener.fd.get(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK));
    if (!fd.valid()) {
      if (errno == EINTR || errno == ECONNABORTED) continue;
      if (errno == EAGAIN) return;
      // Out of descriptors: what waits stays in the backlog; look again shortly instead of
      // spinning.
      base::log(log_, base::LogLevel::kError,
                base::errno_error(errno, "cannot accept a connection").message());
      loop_.change(listener.fd.get(), 0);
      loop_.run_after(std::chrono::milliseconds(200),
                      [this, alive = std::weak_ptr<int>(alive_), number = listener.fd.get()] {
                        if (alive.lock()) loop_.change(number, EPOLLIN);
                      });
      return;
    }
    if (connections_.size() >= kMaxConnections) continue;  // closed at once
    if (listener.is_unix) {
      ucred peer{};
      socklen_t size = sizeof peer;
      if (::getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 ||
          peer.uid != ::geteuid()) {
        base::log(log_, base::LogLevel::kWarning,
                  "refused a connection of user " + std::to_string(peer.uid));
        continue;
      }
    } else {
      if (strangers_ >= kMaxStrangers) continue;
      ++strangers_;
      int on = 1;
      ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    }
    connections_.insert(Connection::start(loop_, std::move(fd), listener.tls.get(),
                                          listener.is_unix, service_, limits_,
                                          [this, alive = std::weak_ptr<int>(alive_),
                                           stranger = !listener.is_unix](Connection* closed) {
                                            if (!alive.lock()) return;
                                            if (stranger) --strangers_;
                                            connections_.erase(closed->shared_from_this());
                                            if (connections_.empty() && on_empty_)
                                              std::exchange(on_empty_, nullptr)();
                                          }));
  }
}

void Server::finish(std::chrono::milliseconds patience, std::function<void()> done) {
  for (auto& listener : listeners_) {
    loop_.unwatch(listener->fd.get());
    listener->fd.reset();
  }
  if (!unix_path_.empty()) ::unlink(std::exchange(unix_path_, std::string()).c_str());
  if (connections_.empty()) {
    loop_.post(std::move(done));
    return;
  }
  on_empty_ = [this, done = std::move(done)] {
    loop_.cancel_timer(timer_);
    loop_.post(done);
  };
  timer_ = loop_.run_after(patience, [this] {
    if (on_empty_) std::exchange(on_empty_, nullptr)();
  });
  auto copy = connections_;  // finish() may close some
  for (const auto& connection : copy) connection->finish();
}

}  // namespace depot::builderd

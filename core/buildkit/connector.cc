#include "buildkit/connector.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <utility>

#include "base/base64.h"
#include "buildkit/transport.h"
#include "http/proxy.h"

namespace depot::buildkit {
namespace {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;
using base::UniqueFd;

// RFC 8305: when a connection to the next address is tried, beside one that does not answer.
constexpr std::chrono::milliseconds kNextAddress{250};
// A Unix socket's backlog is full, for which there is no event.
constexpr std::chrono::milliseconds kBacklog{20};
constexpr size_t kMaxHead = 16 << 10;

std::string shown(const sockaddr* address, socklen_t size) {
  char host[NI_MAXHOST], port[NI_MAXSERV];
  if (::getnameinfo(address, size, host, sizeof host, port, sizeof port,
                    NI_NUMERICHOST | NI_NUMERICSERV) != 0)
    return "an address";
  bool v6 = address->sa_family == AF_INET6;
  return (v6 ? "[" + std::string(host) + "]" : std::string(host)) + ":" + port;
}

std::string percent_decoded(std::string_view text) {
  std::string out;
  auto digit = [](char c) { return c <= '9' ? c - '0' : (c | 32) - 'a' + 10; };
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size() &&
        ::isxdigit(static_cast<unsigned char>(text[i + 1])) &&
        ::isxdigit(static_cast<unsigned char>(text[i + 2]))) {
      out.push_back(static_cast<char>(digit(text[i + 1]) << 4 | digit(text[i + 2])));
      i += 2;
    } else {
      out.push_back(text[i]);
    }
  }
  return out;
}

// http://[USER[:PASSWORD]@]HOST[:PORT][/]
Proxy parse_proxy(std::string_view url) {
  constexpr std::string_view kScheme = "http://";
  if (url.starts_with(kScheme))
    url.remove_prefix(kScheme.size());
  else if (url.find("://") != std::string_view::npos)
    return {};
  url = url.substr(0, url.find('/'));
  Proxy proxy;
  if (size_t at = url.rfind('@'); at != std::string_view::npos) {
    proxy.authorization = "Basic " + base::base64_encode(percent_decoded(url.substr(0, at)));
    url.remove_prefix(at + 1);
  }
  size_t colon = url.rfind(':');
  if (colon != std::string_view::npos && url.find(']', colon) == std::string_view::npos) {
    proxy.port = url.substr(colon + 1);
    url = url.substr(0, colon);
  }
  if (proxy.port.empty()) proxy.port = "80";
  if (url.size() > 2 && url.front() == '[' && url.back() == ']')
    url = url.substr(1, url.size() - 2);
  proxy.host = url;
  return proxy;
}

std::string with_port(const Address& address) {
  bool v6 = address.host.find(':') != std::string::npos;
  return (v6 ? "[" + address.host + "]" : address.host) + ":" + address.port;
}

}  // namespace

Proxy proxy_for(const Address& address, const base::Environment& environment) {
  if (address.kind != Address::Kind::kTcp || address.loopback()) return {};
  std::string url;
  for (const char* name : {"grpc_proxy", "https_proxy", "HTTPS_PROXY", "http_proxy"})
    if (url = environment.get_or(name, ""); !url.empty()) break;
  if (url.empty()) return {};
  for (const char* name : {"no_grpc_proxy", "no_proxy", "NO_PROXY"})
    if (auto exempt = environment.get(name))
      if (http::exempt_from_proxy(address.host, *exempt)) return {};
  return parse_proxy(url);
}

Connector::~Connector() {
  drop_timer();
  forget_attempts();
  if (looking_up_) loop_.unwatch(lookup_->event());
  if (proxy_fd_.valid()) loop_.unwatch(proxy_fd_.get());
}

void Connector::start(const Address& address, const Proxy& proxy, Done done) {
  address_ = address;
  proxy_ = proxy;
  done_ = std::move(done);
  if (address_.kind == Address::Kind::kUnix) return connect_unix();
  bool direct = proxy_.host.empty();
  auto lookup =
      Lookup::start(direct ? address_.host : proxy_.host, direct ? address_.port : proxy_.port);
  if (!lookup.ok()) return finish(lookup.status());
  lookup_ = *std::move(lookup);
  if (lookup_->event() < 0) return looked_up();
  looking_up_ = true;
  loop_.watch(lookup_->event(), EPOLLIN, [this](uint32_t) {
    loop_.unwatch(lookup_->event());
    looking_up_ = false;
    looked_up();
  });
}

void Connector::set_timer(std::chrono::milliseconds delay, void (Connector::*then)()) {
  drop_timer();
  timer_ = loop_.run_after(delay, [this, then] {
    timer_ = 0;
    (this->*then)();
  });
}

void Connector::drop_timer() {
  if (timer_ != 0) loop_.cancel_timer(std::exchange(timer_, 0));
}

void Connector::forget_attempts() {
  for (auto& attempt : attempts_) loop_.unwatch(attempt.fd.get());
  attempts_.clear();
}

void Connector::finish(Result<UniqueFd> result) {
  auto done = std::exchange(done_, nullptr);
  done(std::move(result));  // this may be gone now
}

void Connector::fail(std::string message) {
  finish(Status(Code::kUnavailable, Hop::kMachine, std::move(message)).with_retryable(true));
}

void Connector::connect_unix() {
  UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return finish(base::errno_error(errno, "cannot make a socket"));
  sockaddr_un name{};
  name.sun_family = AF_UNIX;
  if (address_.path.size() >= sizeof name.sun_path)
    return fail(address_.path + ": File name too long");
  std::memcpy(name.sun_path, address_.path.data(), address_.path.size());
  int result = 0;
  do {
    result = ::connect(fd.get(), reinterpret_cast<sockaddr*>(&name), sizeof name);
  } while (result != 0 && errno == EINTR);
  if (result == 0) return finish(std::move(fd));
  if (errno == EAGAIN) return set_timer(kBacklog, &Connector::connect_unix);
  fail("connect to " + address_.path + ": " + std::strerror(errno));
}

void Connector::looked_up() {
  if (Status status = lookup_->status(); !status.ok()) return fail(status.message());
  next_ = lookup_->found();
  try_next();
}

void Connector::try_next() {
  drop_timer();
  while (next_ != nullptr) {
    const addrinfo* one = std::exchange(next_, next_->ai_next);
    std::string where = shown(one->ai_addr, one->ai_addrlen);
    UniqueFd fd(::socket(one->ai_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
    if (!fd.valid()) {
      last_failure_ = "connect to " + where + ": " + std::strerror(errno);
      continue;
    }
    int result = 0;
    do {
      result = ::connect(fd.get(), one->ai_addr, one->ai_addrlen);
    } while (result != 0 && errno == EINTR);
    if (result == 0) return connected(std::move(fd));
    if (errno != EINPROGRESS) {
      last_failure_ = "connect to " + where + ": " + std::strerror(errno);
      continue;
    }
    int number = fd.get();
    attempts_.push_back({std::move(fd), std::move(where)});
    loop_.watch(number, EPOLLOUT, [this, number](uint32_t) { attempted(number); });
    if (next_ != nullptr) set_timer(kNextAddress, &Connector::try_next);
    return;
  }
  if (attempts_.empty()) fail(last_failure_);
}

void Connector::attempted(int number) {
  auto it = std::find_if(attempts_.begin(), attempts_.end(),
                         [&](const Attempt& one) { return one.fd.get() == number; });
  if (it == attempts_.end()) return;
  int error = 0;
  socklen_t size = sizeof error;
  ::getsockopt(number, SOL_SOCKET, SO_ERROR, &error, &size);
  loop_.unwatch(number);
  Attempt attempt = std::move(*it);
  attempts_.erase(it);
  if (error == 0) return connected(std::move(attempt.fd));
  last_failure_ = "connect to " + attempt.where + ": " + std::strerror(error);
  try_next();
}

void Connector::connected(UniqueFd fd) {
  drop_timer();
  forget_attempts();
  int on = 1;
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  ::setsockopt(fd.get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
  int patience = static_cast<int>(kKeepaliveTimeout.count());
  ::setsockopt(fd.get(), IPPROTO_TCP, TCP_USER_TIMEOUT, &patience, sizeof patience);
  if (proxy_.host.empty()) return finish(std::move(fd));
  proxy_fd_ = std::move(fd);
  ask_proxy();
}

void Connector::ask_proxy() {
  std::string target = with_port(address_);
  std::string request =
      "CONNECT " + target + " HTTP/1.1\r\nHost: " + target + "\r\nUser-Agent: libdepot\r\n";
  if (!proxy_.authorization.empty())
    request += "Proxy-Authorization: " + proxy_.authorization + "\r\n";
  request += "\r\n";
  // It fits into what any socket holds. A closed one is told by the read.
  (void)!::send(proxy_fd_.get(), request.data(), request.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  base::wipe(request);
  base::wipe(proxy_.authorization);
  loop_.watch(proxy_fd_.get(), EPOLLIN, [this](uint32_t) { proxy_answers(); });
}

void Connector::proxy_answers() {
  auto refuse = [&](const std::string& why) {
    loop_.unwatch(proxy_fd_.get());
    proxy_fd_.reset();
    fail("the proxy " + proxy_.host + ":" + proxy_.port + " " + why);
  };
  for (;;) {
    // Up to and with the empty line, and not a byte more: what follows is the builder's.
    char buffer[1024];
    ssize_t n = ::recv(proxy_fd_.get(), buffer, sizeof buffer, MSG_PEEK | MSG_DONTWAIT);
    if (n < 0 && errno == EINTR) continue;
    if (n < 0 && (errno == EAGAIN || errno == EWOULDBLOCK)) return;
    if (n <= 0) return refuse("closed the connection");
    size_t before = proxy_head_.size();
    proxy_head_.append(buffer, static_cast<size_t>(n));
    size_t end = proxy_head_.find("\r\n\r\n", before < 3 ? 0 : before - 3);
    if (end != std::string::npos) proxy_head_.resize(end + 4);
    (void)!::recv(proxy_fd_.get(), buffer, proxy_head_.size() - before, MSG_DONTWAIT);
    if (end != std::string::npos) break;
    if (proxy_head_.size() > kMaxHead) return refuse("does not answer as a proxy does");
  }
  if (!proxy_head_.starts_with("HTTP/1.")) return refuse("does not answer as a proxy does");
  std::string line = proxy_head_.substr(9, proxy_head_.find('\r') - 9);
  if (!line.starts_with("2")) {
    for (char& c : line)
      if (static_cast<unsigned char>(c) < ' ') c = ' ';
    return refuse("refuses to connect to " + with_port(address_) + ": " + line.substr(0, 200));
  }
  loop_.unwatch(proxy_fd_.get());
  finish(std::move(proxy_fd_));
}

}  // namespace depot::buildkit

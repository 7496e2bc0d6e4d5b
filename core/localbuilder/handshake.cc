#include "localbuilder/handshake.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>

#include "base/fd.h"
#include "base/wait.h"

namespace depot::localbuilder {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;

namespace {

constexpr size_t kMaxAnswer = 8 << 10;

Status gone(const std::string& path, std::string_view why) {
  return Status(Code::kUnavailable, Hop::kBuilder,
                "the local builder at " + path + " went away: " + std::string(why));
}

Result<base::UniqueFd> connect_to(const std::string& path, base::Waiter& waiter) {
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) {
    return Status(Code::kInvalidArgument, Hop::kBuilder, "socket path is too long: " + path)
        .with_hint("set LIBDEPOT_RUNTIME_DIR to a shorter path");
  }
  std::memcpy(address.sun_path, path.data(), path.size());
  base::UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return base::errno_error(errno, "cannot make a socket");
  while (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    if (errno == EINTR) continue;
    if (errno == ENOENT || errno == ECONNREFUSED) {
      return Status(Code::kNotFound, Hop::kBuilder, "no local builder listens at " + path);
    }
    if (errno != EAGAIN) return base::errno_error(errno, "cannot connect to " + path);
    // Its backlog is full, for which Unix sockets have no event.
    DEPOT_ASSIGN(bool told, waiter.wait(-1, 0, "connecting to the local builder",
                                        std::chrono::milliseconds(20)));
    (void)told;
  }
  ucred peer{};
  socklen_t size = sizeof peer;
  if (::getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) {
    return base::errno_error(errno, "cannot tell who listens at " + path);
  }
  if (peer.uid != ::geteuid()) {
    return Status(Code::kPermissionDenied, Hop::kBuilder,
                  "the local builder at " + path + " runs as user " + std::to_string(peer.uid) +
                      ", not as us");
  }
  return fd;
}

struct Answer {
  int status = 0;
  std::string body;
};

Result<Answer> exchange(const std::string& path, std::string_view method, std::string_view target,
                        const base::Cancel& cancel,
                        std::chrono::steady_clock::time_point deadline) {
  base::Waiter waiter(cancel, deadline, Hop::kBuilder);
  DEPOT_ASSIGN(base::UniqueFd fd, connect_to(path, waiter));
  std::string request = std::string(method) + " " + std::string(target) +
                        " HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n"
                        "Connection: close\r\n\r\n";
  for (size_t sent = 0; sent < request.size();) {
    ssize_t n = ::send(fd.get(), request.data() + sent, request.size() - sent, MSG_NOSIGNAL);
    if (n >= 0) {
      sent += static_cast<size_t>(n);
    } else if (errno == EAGAIN) {
      DEPOT_ASSIGN(bool told, waiter.wait(fd.get(), POLLOUT, "talking to the local builder"));
      (void)told;
    } else if (errno != EINTR) {
      return gone(path, std::strerror(errno));
    }
  }
  std::string text;
  for (;;) {
    char buffer[2048];
    ssize_t n = ::recv(fd.get(), buffer, sizeof buffer, 0);
    if (n == 0) break;
    if (n > 0) {
      text.append(buffer, static_cast<size_t>(n));
      if (text.size() > kMaxAnswer) return gone(path, "its answer is too long");
    } else if (errno == EAGAIN) {
      DEPOT_ASSIGN(bool told, waiter.wait(fd.get(), POLLIN, "talking to the local builder"));
      (void)told;
    } else if (errno != EINTR) {
      return gone(path, std::strerror(errno));
    }
  }
  size_t end = text.find("\r\n\r\n");
  if (end == std::string::npos || text.rfind("HTTP/1.1 ", 0) != 0) {
    return gone(path, "it closed the connection without an answer");
  }
  Answer answer;
  std::from_chars(text.data() + 9, text.data() + text.size(), answer.status);
  answer.body = text.substr(end + 4);
  return answer;
}

// Takes `word` and one number off the front.
bool take(std::string_view& text, std::string_view word, int32_t& number) {
  if (text.substr(0, word.size()) != word) return false;
  text.remove_prefix(word.size());
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc()) return false;
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  return true;
}

}  // namespace

std::string format_hello(const Hello& hello) {
  return "libdepot-builderd " + hello.version + " protocol " + std::to_string(hello.protocol) +
         " oldest " + std::to_string(hello.oldest) + " builds " + std::to_string(hello.builds) +
         "\n";
}

Result<Hello> parse_hello(std::string_view line) {
  constexpr std::string_view kName = "libdepot-builderd ";
  Hello hello;
  bool good = line.substr(0, kName.size()) == kName;
  if (good) {
    line.remove_prefix(kName.size());
    size_t space = line.find(' ');
    good = space != std::string_view::npos;
    hello.version = std::string(line.substr(0, space));
    line.remove_prefix(good ? space : 0);
    // More may follow in later versions.
    good = good && take(line, " protocol ", hello.protocol) &&
           take(line, " oldest ", hello.oldest) && take(line, " builds ", hello.builds);
  }
  if (!good) {
    return Status(Code::kFailedPrecondition, Hop::kBuilder,
                  "what listens on the local builder's socket is not a local builder");
  }
  return hello;
}

Result<Hello> say_hello(const std::string& socket_path, const base::Cancel& cancel,
                        std::chrono::steady_clock::time_point deadline) {
  DEPOT_ASSIGN(Answer answer, exchange(socket_path, "GET", kHelloPath, cancel, deadline));
  return parse_hello(answer.body);
}

Result<bool> ask_to_retire(const std::string& socket_path, const base::Cancel& cancel,
                           std::chrono::steady_clock::time_point deadline) {
  DEPOT_ASSIGN(Answer answer, exchange(socket_path, "POST", kRetirePath, cancel, deadline));
  if (answer.status == 200) return true;
  if (answer.status == 409) return false;
  return Status(
      Code::kUnknown, Hop::kBuilder,
      "the local builder answered " + std::to_string(answer.status) + " when asked to end");
}

}  // namespace depot::localbuilder

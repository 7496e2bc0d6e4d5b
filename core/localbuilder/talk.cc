#include "localbuilder/talk.h"

#include <strings.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <optional>

#include "base/fd.h"
#include "base/wait.h"

namespace depot::localbuilder {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;

namespace {

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

// What Content-Length says, if it is there.
std::optional<size_t> length_of(std::string_view head) {
  constexpr std::string_view kName = "\r\ncontent-length:";
  for (size_t at = 0; (at = head.find("\r\n", at)) != std::string_view::npos; at += 2) {
    std::string_view line = head.substr(at);
    if (line.size() < kName.size() || ::strncasecmp(line.data(), kName.data(), kName.size()) != 0) {
      continue;
    }
    line.remove_prefix(kName.size());
    while (!line.empty() && line.front() == ' ') line.remove_prefix(1);
    size_t length = 0;
    auto [end, error] = std::from_chars(line.data(), line.data() + line.size(), length);
    if (error == std::errc() && end != line.data()) return length;
  }
  return std::nullopt;
}

}  // namespace

Result<Answer> exchange(const std::string& path, const Ask& ask, const base::Cancel& cancel,
                        std::chrono::steady_clock::time_point deadline) {
  base::Waiter waiter(cancel, deadline, Hop::kBuilder);
  DEPOT_ASSIGN(base::UniqueFd fd, connect_to(path, waiter));
  std::string request =
      std::string(ask.method) + " " + std::string(ask.target) +
      " HTTP/1.1\r\nHost: localhost\r\nContent-Length: " + std::to_string(ask.body.size()) +
      "\r\nConnection: close\r\n\r\n" + std::string(ask.body);
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
    char buffer[8 << 10];
    ssize_t n = ::recv(fd.get(), buffer, sizeof buffer, 0);
    if (n == 0) break;
    if (n > 0) {
      text.append(buffer, static_cast<size_t>(n));
      if (text.size() > ask.max_answer) return gone(path, "its answer is too long");
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
  if (auto length = length_of(std::string_view(text).substr(0, end));
      length && *length != answer.body.size()) {
    return gone(path, "its answer is cut off");
  }
  return answer;
}

}  // namespace depot::localbuilder

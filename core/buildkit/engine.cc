#include "buildkit/engine.h"

#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstring>
#include <nlohmann/json.hpp>

#include "buildkit/lookup.h"

namespace depot::buildkit {
namespace {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;
using base::UniqueFd;
using base::Waiter;

constexpr size_t kMaxHeader = 16 << 10;
constexpr size_t kMaxBody = 4 << 10;

Status connect_failed(int error, const std::string& where) {
  Status status = base::errno_error(error, "cannot connect to " + where);
  return Status(status.code() == Code::kNotFound ? Code::kUnavailable : status.code(),
                Hop::kMachine, status.message());
}

Result<UniqueFd> connect_one(const sockaddr* address, socklen_t size, const std::string& where,
                             Waiter& waiter) {
  UniqueFd fd(::socket(address->sa_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  if (!fd.valid()) return base::errno_error(errno, "cannot make a socket");
  while (::connect(fd.get(), address, size) != 0) {
    if (errno == EINTR) continue;
    if (errno == EINPROGRESS) {
      DEPOT_ASSIGN(bool told, waiter.wait(fd.get(), POLLOUT, "connecting to the Docker Engine"));
      (void)told;
      int error = 0;
      socklen_t length = sizeof error;
      ::getsockopt(fd.get(), SOL_SOCKET, SO_ERROR, &error, &length);
      if (error != 0) return connect_failed(error, where);
      break;
    }
    if (errno != EAGAIN) return connect_failed(errno, where);
    // Its backlog is full, for which Unix sockets have no event.
    DEPOT_ASSIGN(bool told, waiter.wait(-1, 0, "connecting to the Docker Engine",
                                        std::chrono::milliseconds(20)));
    (void)told;
  }
  return fd;
}

// One header's value, or "".
std::string header_value(const std::string& head, std::string_view name) {
  size_t at = head.find("\r\n");
  while (at != std::string::npos && at + 2 < head.size()) {
    size_t end = head.find("\r\n", at + 2);
    std::string_view line(head.data() + at + 2,
                          (end == std::string::npos ? head.size() : end) - at - 2);
    size_t colon = line.find(':');
    if (colon == name.size() && ::strncasecmp(line.data(), name.data(), colon) == 0) {
      line.remove_prefix(colon + 1);
      line.remove_prefix(std::min(line.find_first_not_of(' '), line.size()));
      return std::string(line);
    }
    at = end;
  }
  return "";
}

class Answer {
 public:
  Answer(int fd, const std::string& name, Waiter& waiter) : fd_(fd), name_(name), waiter_(waiter) {}

  // Up to and with the empty line, and not a byte more: what follows is another's to read.
  Result<std::string> head() {
    std::string head;
    char buffer[1024];
    while (head.size() < kMaxHeader) {
      DEPOT_ASSIGN(size_t n, some(buffer, sizeof buffer, MSG_PEEK));
      if (n == 0) {
        return Status(Code::kUnavailable, Hop::kMachine,
                      "the Docker Engine at " + name_ + " closed the connection");
      }
      size_t before = head.size();
      head.append(buffer, n);
      size_t end = head.find("\r\n\r\n", before < 3 ? 0 : before - 3);
      if (end != std::string::npos) head.resize(end + 4);
      DEPOT_ASSIGN(size_t taken, some(buffer, head.size() - before, 0));
      head.resize(before + taken);
      if (head.ends_with("\r\n\r\n")) return head;
    }
    return not_http();
  }

  // As much of the body as an error message needs.
  std::string body(const std::string& head) {
    size_t length = 0;
    std::string text = header_value(head, "content-length");
    std::from_chars(text.data(), text.data() + text.size(), length);
    std::string body(std::min(length, kMaxBody), '\0');
    size_t got = 0;
    while (got < body.size()) {
      auto n = some(body.data() + got, body.size() - got, 0);
      if (!n.ok() || *n == 0) break;
      got += *n;
    }
    body.resize(got);
    return body;
  }

  Status not_http() const {
    return Status(Code::kUnavailable, Hop::kMachine,
                  "what is at " + name_ + " does not answer as a Docker Engine does");
  }

 private:
  Result<size_t> some(char* to, size_t size, int flags) {
    for (;;) {
      ssize_t n = ::recv(fd_, to, size, flags | MSG_DONTWAIT);
      if (n >= 0) return static_cast<size_t>(n);
      if (errno == ECONNRESET || errno == EPIPE) return size_t{0};
      if (errno != EAGAIN && errno != EINTR)
        return base::errno_error(errno, "reading from the Docker Engine");
      DEPOT_ASSIGN(bool told, waiter_.wait(fd_, POLLIN, "waiting for the Docker Engine"));
      (void)told;
    }
  }

  int fd_;
  const std::string& name_;
  Waiter& waiter_;
};

}  // namespace

Result<UniqueFd> connect_socket(const Address& address, Waiter& waiter) {
  if (address.kind == Address::Kind::kUnix) {
    sockaddr_un name{};
    name.sun_family = AF_UNIX;
    std::memcpy(name.sun_path, address.path.data(), address.path.size());  // it fits
    return connect_one(reinterpret_cast<sockaddr*>(&name), sizeof name, address.path, waiter);
  }
  DEPOT_ASSIGN(auto lookup, Lookup::start(address.host, address.port));
  if (lookup->event() >= 0) {
    DEPOT_ASSIGN(bool told,
                 waiter.wait(lookup->event(), POLLIN, "looking the Docker Engine's name up"));
    (void)told;
  }
  DEPOT_TRY(lookup->status());
  Status failure;
  for (const addrinfo* one = lookup->found(); one != nullptr; one = one->ai_next) {
    auto fd = connect_one(one->ai_addr, one->ai_addrlen, address.host + ":" + address.port, waiter);
    if (!fd.ok()) {
      failure = fd.status();
      if (failure.code() == Code::kCancelled || failure.code() == Code::kDeadlineExceeded) break;
      continue;
    }
    int on = 1;
    ::setsockopt(fd->get(), IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    ::setsockopt(fd->get(), SOL_SOCKET, SO_KEEPALIVE, &on, sizeof on);
    return fd;
  }
  return failure;
}

Status upgrade(int fd, const std::string& name, Waiter& waiter) {
  constexpr std::string_view kRequest =
      "POST /grpc HTTP/1.1\r\nHost: docker\r\nUser-Agent: libdepot\r\nContent-Length: 0\r\n"
      "Connection: Upgrade\r\nUpgrade: h2c\r\n\r\n";
  // It fits into what any socket holds. A closed one is told by the read.
  (void)!::send(fd, kRequest.data(), kRequest.size(), MSG_NOSIGNAL);
  Answer answer(fd, name, waiter);
  DEPOT_ASSIGN(std::string head, answer.head());
  if (!head.starts_with("HTTP/1.1 ") && !head.starts_with("HTTP/1.0 ")) return answer.not_http();
  std::string code = head.substr(9, 3);
  if (code == "101") return {};
  std::string said = answer.body(head);
  auto json = nlohmann::json::parse(said, nullptr, false);
  if (json.is_object() && json.contains("message") && json["message"].is_string())
    said = json["message"].get<std::string>();
  for (char& c : said)
    if (static_cast<unsigned char>(c) < ' ') c = ' ';
  std::string what = "the Docker Engine at " + name + " has no BuildKit to offer (HTTP " + code;
  what += said.empty() ? ")" : ": " + said + ")";
  return Status(code == "401" || code == "403" ? Code::kPermissionDenied : Code::kUnimplemented,
                Hop::kMachine, what)
      .with_hint(
          "Docker has it from 18.09 on, on Linux; what else serves Docker's API, such as "
          "Podman, has not");
}

}  // namespace depot::buildkit

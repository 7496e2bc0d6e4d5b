#include "unit/http/raw_server.h"

#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <algorithm>
#include <cstring>

namespace depot::test {
namespace {

const std::string kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";

const char kThenClose = '\2';

base::UniqueFd listen_on_loopback(int* port) {
  base::UniqueFd fd(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof(address);
  EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
  EXPECT_EQ(::listen(fd.get(), 64), 0);
  EXPECT_EQ(::getsockname(fd.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
  *port = ntohs(address.sin_port);
  return fd;
}

bool write_all(int fd, const std::string& bytes) {
  size_t done = 0;
  while (done < bytes.size()) {
    ssize_t sent = ::send(fd, bytes.data() + done, bytes.size() - done, MSG_NOSIGNAL);
    if (sent <= 0) return false;
    done += static_cast<size_t>(sent);
  }
  return true;
}

bool read_more(int fd, std::string& pending) {
  char buffer[16384];
  ssize_t got = ::recv(fd, buffer, sizeof(buffer), 0);
  if (got <= 0) return false;
  pending.append(buffer, static_cast<size_t>(got));
  return true;
}

size_t content_length(std::string head) {
  std::transform(head.begin(), head.end(), head.begin(), ::tolower);
  size_t at = head.find("\r\ncontent-length:");
  return at == std::string::npos ? 0 : std::strtoul(head.c_str() + at + 17, nullptr, 10);
}

}  // namespace

const std::string RawServer::kHang = "\x01hang";

RawServer::RawServer(Handler handler, const std::string& unix_path)
    : handler_(std::move(handler)),
      preface_answer_(
          "HTTP/1.1 400 Bad Request\r\nContent-Length: 0\r\nConnection: close\r\n\r\n") {
  if (unix_path.empty()) {
    listener_ = listen_on_loopback(&port_);
  } else {
    listener_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strncpy(address.sun_path, unix_path.c_str(), sizeof(address.sun_path) - 1);
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_EQ(::listen(listener_.get(), 64), 0);
  }
  acceptor_ = std::thread([this] { accept_all(); });
}

RawServer::~RawServer() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
    for (auto& socket : sockets_) ::shutdown(socket.get(), SHUT_RDWR);
  }
  ::shutdown(listener_.get(), SHUT_RDWR);
  acceptor_.join();
  for (auto& thread : threads_) thread.join();
}

void RawServer::answer_preface_with(std::string bytes) {
  std::lock_guard lock(mutex_);
  preface_answer_ = std::move(bytes);
}

void RawServer::accept_all() {
  for (;;) {
    int fd = ::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC);
    if (fd < 0) return;
    std::lock_guard lock(mutex_);
    sockets_.emplace_back(fd);
    if (stopping_) return;
    threads_.emplace_back([this, fd] {
      serve(fd);
      ::shutdown(fd, SHUT_RDWR);
    });
  }
}

bool RawServer::read_request(int fd, std::string& pending, std::string& request) {
  size_t head = std::string::npos;
  while ((head = pending.find("\r\n\r\n")) == std::string::npos)
    if (!read_more(fd, pending)) return false;
  size_t whole = head + 4 + content_length(pending.substr(0, head));
  while (pending.size() < whole)
    if (!read_more(fd, pending)) return false;
  request = pending.substr(0, whole);
  pending.erase(0, whole);
  return true;
}

void RawServer::serve(int fd) {
  std::string pending, request;
  while (read_request(fd, pending, request)) {
    std::string answer;
    int number = 0;
    {
      std::lock_guard lock(mutex_);
      if (request.starts_with("PRI * HTTP/2.0")) {
        ++prefaces_;
        answer = preface_answer_;
        changed_.notify_all();
      } else {
        requests_.push_back(request);
        number = static_cast<int>(requests_.size());
        changed_.notify_all();
      }
    }
    bool preface = number == 0;
    if (!preface) answer = handler_(request, number);
    if (answer == kHang) {
      while (read_more(fd, pending)) pending.clear();
      return;
    }
    bool last = preface;
    if (answer.starts_with(kThenClose)) {
      answer.erase(0, 1);
      last = true;
    }
    if (answer.empty() || !write_all(fd, answer) || last) return;
  }
}

std::vector<std::string> RawServer::requests() {
  std::lock_guard lock(mutex_);
  return requests_;
}

int RawServer::prefaces() {
  std::lock_guard lock(mutex_);
  return prefaces_;
}

int RawServer::connections() {
  std::lock_guard lock(mutex_);
  return static_cast<int>(sockets_.size());
}

void RawServer::wait_for(size_t count) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock, [&] { return requests_.size() >= count; });
}

std::string http_answer(int status, const std::string& headers, const std::string& body) {
  return "HTTP/1.1 " + std::to_string(status) + " Whatever\r\n" + headers +
         "Content-Length: " + std::to_string(body.size()) + "\r\n\r\n" + body;
}

std::string then_close(const std::string& bytes) {
  return kThenClose + bytes;
}

int closed_port() {
  int port = 0;
  listen_on_loopback(&port);
  return port;
}

}  // namespace depot::test

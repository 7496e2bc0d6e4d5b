#include "support.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>

#include <algorithm>
#include <cctype>

namespace depot::registry_test {

Server::Server(Handler handler) : handler_(std::move(handler)) {
  listener_ = ::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  stop_ = ::eventfd(0, EFD_CLOEXEC);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  socklen_t size = sizeof address;
  if (::bind(listener_, reinterpret_cast<sockaddr*>(&address), size) != 0 ||
      ::listen(listener_, 64) != 0 ||
      ::getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    std::abort();
  }
  port_ = ntohs(address.sin_port);
  acceptor_ = std::thread([this] {
    for (;;) {
      pollfd polls[] = {{listener_, POLLIN, 0}, {stop_, POLLIN, 0}};
      ::poll(polls, 2, -1);
      if (polls[1].revents != 0) return;
      int fd = ::accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
      if (fd >= 0) threads_.emplace_back([this, fd] { serve(fd); });
    }
  });
}

Server::~Server() {
  uint64_t one = 1;
  (void)!::write(stop_, &one, sizeof one);
  acceptor_.join();
  for (auto& thread : threads_) thread.join();
  ::close(listener_);
  ::close(stop_);
}

void Server::serve(int fd) {
  std::string text;
  char buffer[4096];
  size_t head = std::string::npos, length = 0;
  Request request;
  while (head == std::string::npos || text.size() < head + 4 + length) {
    pollfd polls[] = {{fd, POLLIN, 0}, {stop_, POLLIN, 0}};
    ::poll(polls, 2, -1);
    ssize_t n = polls[1].revents != 0 ? 0 : ::recv(fd, buffer, sizeof buffer, 0);
    if (n <= 0) {
      ::close(fd);
      return;
    }
    text.append(buffer, static_cast<size_t>(n));
    if (head != std::string::npos) continue;
    head = text.find("\r\n\r\n");
    if (head == std::string::npos) continue;
    request.method = text.substr(0, text.find(' '));
    size_t target = request.method.size() + 1;
    request.target = text.substr(target, text.find(' ', target) - target);
    for (size_t at = text.find("\r\n") + 2; at < head;) {
      size_t end = text.find("\r\n", at), colon = text.find(':', at);
      std::string name = text.substr(at, colon - at);
      std::transform(name.begin(), name.end(), name.begin(),
                     [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
      request.headers[name] = text.substr(colon + 2, end - colon - 2);
      at = end + 2;
    }
    auto found = request.headers.find("content-length");
    if (found != request.headers.end()) length = std::stoul(found->second);
  }
  request.body = text.substr(head + 4);
  {
    std::lock_guard guard(mutex_);
    requests_.push_back(request);
  }
  changed_.notify_all();
  std::string answer = handler_(request);
  if (answer.empty()) {
    pollfd polls[] = {{fd, POLLIN, 0}, {stop_, POLLIN, 0}};
    ::poll(polls, 2, -1);
  }
  for (size_t sent = 0; sent < answer.size();) {
    ssize_t n = ::send(fd, answer.data() + sent, answer.size() - sent, MSG_NOSIGNAL);
    if (n <= 0) break;
    sent += static_cast<size_t>(n);
  }
  ::close(fd);
}

std::vector<Server::Request> Server::requests() {
  std::lock_guard guard(mutex_);
  return requests_;
}

bool Server::wait_for(size_t count) {
  std::unique_lock lock(mutex_);
  return changed_.wait_for(lock, kPatience, [&] { return requests_.size() >= count; });
}

std::string Server::answer(int status, std::string_view body, const std::string& more) {
  return "HTTP/1.1 " + std::to_string(status) + " Word\r\nContent-Type: application/json\r\n" +
         "Connection: close\r\nContent-Length: " + std::to_string(body.size()) + "\r\n" + more +
         "\r\n" + std::string(body);
}

}  // namespace depot::registry_test

// Server: the listening sockets of the API and the connections they bring.
#pragma once

#include <functional>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/log.h"
#include "base/status.h"
#include "builderd/connection.h"

namespace depot::builderd {

class Server {
 public:
  // Loop and service must outlive the server.
  Server(base::EpollLoop& loop, HttpService& service, base::LogSink log,
         ConnectionLimits limits = {});
  ~Server();

  // A Unix socket, mode 0600, replacing what a crash left there. Only our own user gets in, by the
  // kernel's word, and is trusted. The caller has seen to it that no other daemon uses the path.
  base::Status listen_unix(const std::string& path);
  // "127.0.0.1:8080" or "[::1]:0"; loopback alone unless `tls`. Nobody is trusted. Returns the
  // port.
  base::Result<uint16_t> listen_tcp(const std::string& address, SslContext tls = nullptr);

  // No new connections or requests; the Unix socket's file goes. `done` once the open connections
  // have been answered and closed, or after `patience`.
  void finish(std::chrono::milliseconds patience, std::function<void()> done);
  size_t connections() const { return connections_.size(); }

 private:
  struct Listener {
    base::UniqueFd fd;
    SslContext tls;
    bool is_unix = false;
  };
  void listen(std::unique_ptr<Listener> listener);
  void accept_from(Listener& listener);

  base::EpollLoop& loop_;
  HttpService& service_;
  const base::LogSink log_;
  const ConnectionLimits limits_;
  std::vector<std::unique_ptr<Listener>> listeners_;
  std::string unix_path_;
  std::set<std::shared_ptr<Connection>> connections_;
  size_t strangers_ = 0;  // of the connections: those over TCP
  std::function<void()> on_empty_;
  base::Loop::TimerId timer_ = 0;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
};

}  // namespace depot::builderd

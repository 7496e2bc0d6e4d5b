// Makes the connection to a builder's socket, or to the proxy before it, without waiting. Private
// to the buildkit module; loop thread only.
#pragma once

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/environment.h"
#include "base/epoll_loop.h"
#include "base/fd.h"
#include "base/status.h"
#include "buildkit/address.h"
#include "buildkit/lookup.h"

namespace depot::buildkit {

// An HTTP proxy that is asked to CONNECT.
struct Proxy {
  std::string host, port;     // none: no proxy
  std::string authorization;  // "Basic ..."; empty for none
};

// Which one gRPC's clients would take for that address: grpc_proxy, https_proxy, http_proxy (of
// https_proxy in capitals as well, as in Go), unless no_grpc_proxy or no_proxy exempts it. None for
// loopback addresses and Unix sockets, and none that is not http://.
Proxy proxy_for(const Address& address, const base::Environment& environment);

class Connector {
 public:
  using Done = std::function<void(base::Result<base::UniqueFd>)>;

  // Ends what is under way when it goes; `done` is not called then. It may go within `done`.
  explicit Connector(base::EpollLoop& loop) : loop_(loop) {}
  ~Connector();
  // Once. `done` may be called within.
  void start(const Address& address, const Proxy& proxy, Done done);

 private:
  struct Attempt {
    base::UniqueFd fd;
    std::string where;
  };

  void connect_unix();
  void looked_up();
  // The next address, beside those that do not answer.
  void try_next();
  void attempted(int fd);
  void attempt_failed(const std::string& where, int error);
  void connected(base::UniqueFd fd);
  void ask_proxy();
  void proxy_answers();
  void set_timer(std::chrono::milliseconds delay, void (Connector::*then)());
  void drop_timer();
  void forget_attempts();
  void finish(base::Result<base::UniqueFd> result);
  void fail(std::string message);

  base::EpollLoop& loop_;
  Address address_;
  Proxy proxy_;
  Done done_;
  std::shared_ptr<Lookup> lookup_;
  bool looking_up_ = false;
  const addrinfo* next_ = nullptr;
  std::vector<Attempt> attempts_;  // under way
  std::string last_failure_;
  base::Loop::TimerId timer_ = 0;
  base::UniqueFd proxy_fd_;
  std::string proxy_head_;
};

}  // namespace depot::buildkit

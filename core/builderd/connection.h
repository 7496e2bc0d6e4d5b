// Connection: one client of the API. Reads the first bytes to tell HTTP/2 with prior knowledge from
// HTTP/1.1, with or without TLS around it, and passes whole requests to the HttpService.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "base/epoll_loop.h"
#include "base/fd.h"
#include "base/status.h"
#include "builderd/http1.h"
#include "builderd/http_service.h"
#include "builderd/tls_pipe.h"
#include "http2/server.h"

namespace depot::builderd {

struct ConnectionLimits {
  size_t max_body = 16 << 20;
  size_t max_bodies = 64 << 20;  // of all requests of one HTTP/2 connection together
  std::chrono::milliseconds request_patience{60'000};  // for the rest of a request that has begun
  std::chrono::milliseconds idle_patience{600'000};    // between requests
  std::chrono::milliseconds linger{5'000};  // for reading what a refused client still sends
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  // `on_close` is called once, on the loop, not from inside start().
  static std::shared_ptr<Connection> start(base::EpollLoop& loop, base::UniqueFd fd, SSL_CTX* tls,
                                           bool trusted, HttpService& service,
                                           ConnectionLimits limits,
                                           std::function<void(Connection*)> on_close);
  ~Connection();

  // No new requests; closes once the ones under way are answered.
  void finish();

 private:
  Connection(base::EpollLoop& loop, base::UniqueFd fd, SSL_CTX* tls, bool trusted,
             HttpService& service, ConnectionLimits limits);
  enum class Protocol { kUnknown, kHttp1, kHttp2 };

  void on_events(uint32_t events);
  void read_some();
  base::Status take_plaintext(std::string_view bytes);
  void decide(std::string_view bytes);
  void start_http2();
  base::Status take_http1(std::string_view bytes);
  void answer_http1(HttpResponse response);
  void refuse_http1(int status);
  void pump();  // engine to output to socket
  void write_out();
  void end_output();
  void queue(std::string_view plaintext);
  void watch();
  void set_timer();
  void close();

  base::EpollLoop& loop_;
  base::UniqueFd fd_;
  const bool trusted_;
  HttpService& service_;
  const ConnectionLimits limits_;
  std::function<void(Connection*)> on_close_;
  std::unique_ptr<TlsPipe> tls_;
  Protocol protocol_ = Protocol::kUnknown;
  std::string sniffed_;
  Http1Parser http1_;
  bool busy_ = false;       // an HTTP/1.1 request is with the service
  bool keep_alive_ = true;  // of that request
  bool peer_done_ = false;  // it will send no more
  bool finishing_ = false;
  bool refused_ = false;  // answered before the whole request was read
  bool lingering_ = false;
  bool in_pump_ = false;
  std::unique_ptr<http2::ServerConnection> http2_;
  std::string output_;  // for the socket
  size_t written_ = 0;  // of output_
  uint32_t watched_ = 0;
  base::Loop::TimerId timer_ = 0;
  bool within_request_ = false;  // what timer_ is for
};

}  // namespace depot::builderd

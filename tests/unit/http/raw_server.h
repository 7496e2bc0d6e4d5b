// A server of bytes for what no well-behaved one sends: it hands each request to a function and
// writes back whatever that gives. One thread per connection; all are joined by the destructor.
#pragma once

#include <condition_variable>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/fd.h"

namespace depot::test {

class RawServer {
 public:
  // The request (head and body as they arrived) and its number, from 1. What is returned is
  // written; kHang leaves the request unanswered until the client goes, "" closes the connection.
  using Handler = std::function<std::string(const std::string& request, int number)>;
  static const std::string kHang;

  // `unix_path` empty: 127.0.0.1, any port.
  explicit RawServer(Handler handler, const std::string& unix_path = "");
  ~RawServer();

  // Instead of "HTTP/1.1 400" and a hang-up, as a server of HTTP/1.1 alone answers the preface.
  void answer_preface_with(std::string bytes);

  int port() const { return port_; }
  std::string url() const { return "http://127.0.0.1:" + std::to_string(port_); }
  std::vector<std::string> requests();
  int prefaces();  // how often somebody asked for HTTP/2
  int connections();
  // Waits for so many requests.
  void wait_for(size_t count);

 private:
  void accept_all();
  void serve(int fd);
  bool read_request(int fd, std::string& pending, std::string& request);

  Handler handler_;
  base::UniqueFd listener_;
  int port_ = 0;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::string preface_answer_;
  std::vector<std::string> requests_;
  int prefaces_ = 0;
  std::vector<base::UniqueFd> sockets_;
  std::vector<std::thread> threads_;
  bool stopping_ = false;
  std::thread acceptor_;
};

// "HTTP/1.1 <status>" with a length and these header lines ("a: b\r\n").
std::string http_answer(int status, const std::string& headers, const std::string& body);

// An answer after which the connection is closed.
std::string then_close(const std::string& bytes);

// A port of 127.0.0.1 that nothing listens on.
int closed_port();

}  // namespace depot::test

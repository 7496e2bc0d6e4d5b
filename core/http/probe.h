// Asks a server behind an http:// URL whether it speaks HTTP/2 without being told: a connection of
// its own on which it gets the HTTP/2 preface and an empty SETTINGS frame, no request. A server of
// HTTP/2 has to answer with SETTINGS; one of HTTP/1.1 alone answers "HTTP/1.1 400" or hangs up.
//
// Trying the request itself would leave it open whether it arrived, and CreateBuild must not be
// sent twice. Private to the http module; loop thread only.
#pragma once

#include <curl/curl.h>

#include <array>
#include <cstdint>
#include <string>
#include <vector>

#include "base/loop.h"
#include "http/client.h"
#include "http/transfer.h"
#include "http/url.h"

namespace depot::http {

class Probe final {
 public:
  enum class Answer { kNothingYet, kHttp2, kHttp1, kSilent };
  // How long a server that took the connection may keep silent. Then HTTP/1.1 is tried, this time.
  static constexpr std::chrono::milliseconds kPatience{2000};

  explicit Probe(const Url& url) : url_(url) {}
  ~Probe();
  Probe(const Probe&) = delete;
  Probe& operator=(const Probe&) = delete;

  // Makes the handle that connects; false when out of memory.
  bool prepare(const Options& options, std::chrono::milliseconds connect_timeout,
               Completion* owner);
  // It is connected: sends the preface.
  Answer connected();
  // There is something to read.
  Answer readable();
  // It could not connect.
  base::Status failure(CURLcode code) const;

  CURL* easy() const { return easy_; }
  int socket() const { return socket_; }

  std::vector<uint64_t> waiting;  // the requests that want to know
  base::Loop::TimerId patience = 0;

 private:
  Url url_;
  CURL* easy_ = nullptr;
  curl_socket_t socket_ = CURL_SOCKET_BAD;
  std::array<char, CURL_ERROR_SIZE> text_{};
  std::string received_;
};

}  // namespace depot::http

// One request on its way: the easy handle and what it collects. Private to the http module; loop
// thread only.
#pragma once

#include <curl/curl.h>

#include <array>
#include <chrono>
#include <cstdint>
#include <string>

#include "base/loop.h"
#include "http/client.h"
#include "http/url.h"

namespace depot::http {

// What a finished easy handle belongs to (CURLOPT_PRIVATE).
class Completion {
 public:
  virtual void complete(CURLcode code) = 0;

 protected:
  ~Completion() = default;
};

// What all handles have in common: where to connect and whom to trust.
void set_route(CURL* easy, const Options& options, const std::string& proxy);

class Transfer {
 public:
  Transfer(uint64_t id, Request request, Client::Done done);
  ~Transfer();
  Transfer(const Transfer&) = delete;
  Transfer& operator=(const Transfer&) = delete;

  // Checks the request; before anything else.
  base::Status check();
  // Makes the easy handle. `version` is one of CURL_HTTP_VERSION_*.
  base::Status prepare(const Options& options, const std::string& proxy, long version,
                       Completion* owner);
  // What came of it.
  base::Result<Response> result(CURLcode code);
  base::Status deadline_status() const;
  // "POST http://host/path"
  std::string title() const { return request.method + " " + url.shown; }

  const uint64_t id;
  Request request;
  Client::Done done;
  Url url;
  std::chrono::steady_clock::time_point began;
  base::Loop::TimerId deadline = 0;
  CURL* easy = nullptr;

 private:
  static size_t on_header(char* data, size_t size, size_t count, void* self);
  static size_t on_body(char* data, size_t size, size_t count, void* self);
  bool header_line(std::string_view line);
  bool add_header(const std::string& line);

  curl_slist* headers_ = nullptr;
  std::array<char, CURL_ERROR_SIZE> text_{};
  std::string proxy_;  // its URL, maybe with a password; empty: none
  Response response_;
  size_t header_bytes_ = 0;
  bool headers_done_ = false;
  bool too_large_ = false;
};

}  // namespace depot::http

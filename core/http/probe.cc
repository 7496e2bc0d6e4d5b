#include "http/probe.h"

#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <string_view>

#include "http/errors.h"

namespace depot::http {
namespace {

// The preface (RFC 9113, 3.4) and a SETTINGS frame without settings.
constexpr std::string_view kHello("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n\0\0\0\4\0\0\0\0\0", 33);
constexpr size_t kEnough = 9;  // a frame's head
constexpr char kSettings = 4;

}  // namespace

Probe::~Probe() {
  if (easy_) curl_easy_cleanup(easy_);
}

bool Probe::prepare(const Options& options, std::chrono::milliseconds connect_timeout,
                    Completion* owner) {
  easy_ = curl_easy_init();
  if (!easy_) return false;
  set_route(easy_, options, "");
  auto limit = std::clamp(connect_timeout, std::chrono::milliseconds(1),
                          std::chrono::milliseconds(std::chrono::hours(24)));
  curl_easy_setopt(easy_, CURLOPT_CONNECTTIMEOUT_MS, static_cast<long>(limit.count()));
  curl_easy_setopt(easy_, CURLOPT_PRIVATE, owner);
  curl_easy_setopt(easy_, CURLOPT_ERRORBUFFER, text_.data());
  curl_easy_setopt(easy_, CURLOPT_URL, url_.origin.c_str());
  curl_easy_setopt(easy_, CURLOPT_CONNECT_ONLY, 1L);
  return true;
}

Probe::Answer Probe::connected() {
  if (curl_easy_getinfo(easy_, CURLINFO_ACTIVESOCKET, &socket_) != CURLE_OK ||
      socket_ == CURL_SOCKET_BAD)
    return Answer::kSilent;
  // A fresh socket's buffer takes so little at once.
  ssize_t sent = ::send(socket_, kHello.data(), kHello.size(), MSG_NOSIGNAL | MSG_DONTWAIT);
  return sent == static_cast<ssize_t>(kHello.size()) ? Answer::kNothingYet : Answer::kSilent;
}

Probe::Answer Probe::readable() {
  std::array<char, 64> buffer{};
  ssize_t got = ::recv(socket_, buffer.data(), buffer.size(), MSG_DONTWAIT);
  if (got < 0 && (errno == EAGAIN || errno == EINTR)) return Answer::kNothingYet;
  if (got <= 0) return Answer::kHttp1;  // it hung up on the preface
  received_.append(buffer.data(), static_cast<size_t>(got));
  if (received_.size() < kEnough)
    return std::string_view("HTTP/").starts_with(received_.substr(0, 5)) ? Answer::kHttp1
                                                                         : Answer::kNothingYet;
  // Length below 16 KiB, type SETTINGS, stream 0.
  bool settings = received_[0] == 0 && static_cast<unsigned char>(received_[1]) < 0x40 &&
                  received_[3] == kSettings && (received_[4] & 1) == 0;
  return settings ? Answer::kHttp2 : Answer::kHttp1;
}

base::Status Probe::failure(CURLcode code) const {
  Failure failure;
  failure.code = code;
  failure.easy = easy_;
  failure.text = text_.data();
  failure.target = url_.origin;
  return failure_status(failure);
}

}  // namespace depot::http

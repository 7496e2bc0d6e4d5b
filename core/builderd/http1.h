// HTTP/1.1 requests out of bytes: small, strict, without I/O.
//
// What is ambiguous is refused, never guessed: both length headers, two lengths, bare line feeds,
// folded headers, unknown transfer codings. Every part has a bound, checked before it is stored.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace depot::builderd {

struct Http1Request {
  std::string method;
  std::string target;                                        // as sent: "/path?query"
  std::vector<std::pair<std::string, std::string>> headers;  // names lower case, values trimmed
  std::string body;
  bool keep_alive = true;

  // The first value; empty if there is none.
  std::string_view header(std::string_view lower_case_name) const;
};

class Http1Parser {
 public:
  enum class State {
    kMore,      // feed more
    kContinue,  // feed more; the client waits for "100 Continue" first (said once)
    kRequest,   // take() it
    kError,     // answer error_status() and close
  };
  static constexpr size_t kMaxLine = 8 << 10;
  static constexpr size_t kMaxHead = 32 << 10;
  static constexpr size_t kMaxHeaders = 100;

  // True for a target whose body is to be dropped as it comes, however long.
  using Drops = std::function<bool(const std::string& target)>;

  // Asked at the end of the headers; false: error 401, before any of the body is kept.
  using Admits = std::function<bool(const Http1Request& head)>;

  explicit Http1Parser(size_t max_body, Drops drops = nullptr, Admits admits = nullptr)
      : max_body_(max_body), drops_(std::move(drops)), admits_(std::move(admits)) {}

  // Adds bytes and goes on as far as they reach.
  State feed(std::string_view bytes);
  // The request; what came after it is kept and parsed by the next feed, also of nothing.
  Http1Request take();
  int error_status() const { return error_status_; }
  // True between requests with nothing read: closing loses nothing.
  bool idle() const { return phase_ == Phase::kStart && at_ == buffer_.size(); }
  bool dropping() const { return dropping_; }

 private:
  enum class Phase { kStart, kHeaders, kBody, kChunkSize, kChunkData, kChunkEnd, kTrailers, kDone };
  State parse();
  bool take_line(std::string& line, bool& missing);
  bool start_line(std::string_view line);
  bool header_line(std::string_view line);
  bool end_of_headers();
  bool chunk_size(std::string_view line);
  bool append_body();
  bool fail(int status);

  const size_t max_body_;
  const Drops drops_;
  const Admits admits_;
  bool dropping_ = false;  // the body of this request
  Phase phase_ = Phase::kStart;
  std::string buffer_;
  size_t at_ = 0;  // of buffer_: what is before has been parsed
  size_t head_bytes_ = 0;
  size_t body_left_ = 0;  // of the body, or of the chunk
  bool expects_continue_ = false;
  int error_status_ = 0;
  Http1Request request_;
};

// "HTTP/1.1 200 OK" and headers with the length; `body` follows.
std::string http1_response_head(int status,
                                const std::vector<std::pair<std::string, std::string>>& headers,
                                size_t body_size, bool keep_alive);

}  // namespace depot::builderd

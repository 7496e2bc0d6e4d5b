#include "builderd/http1.h"

#include <algorithm>
#include <charconv>
#include <utility>

namespace depot::builderd {

namespace {

bool is_token_char(char c) {
  constexpr std::string_view kOther = "!#$%&'*+-.^_`|~";
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
         kOther.find(c) != std::string_view::npos;
}

bool is_token(std::string_view text) {
  return !text.empty() && std::all_of(text.begin(), text.end(), is_token_char);
}

std::string lower(std::string_view text) {
  std::string out(text);
  for (char& c : out) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + 32);
  }
  return out;
}

std::string_view trim(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

// All of `text` as a number of this base.
bool to_size(std::string_view text, int base, size_t& out) {
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), out, base);
  return !text.empty() && error == std::errc() && end == text.data() + text.size();
}

const char* reason_of(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 401:
      return "Unauthorized";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 408:
      return "Request Timeout";
    case 409:
      return "Conflict";
    case 413:
      return "Content Too Large";
    case 415:
      return "Unsupported Media Type";
    case 429:
      return "Too Many Requests";
    case 431:
      return "Request Header Fields Too Large";
    case 500:
      return "Internal Server Error";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 504:
      return "Gateway Timeout";
    case 505:
      return "HTTP Version Not Supported";
    default:
      return "Status";
  }
}

}  // namespace

std::string_view Http1Request::header(std::string_view name) const {
  for (const auto& [key, value] : headers) {
    if (key == name) return value;
  }
  return {};
}

bool Http1Parser::fail(int status) {
  error_status_ = status;
  return false;
}

Http1Parser::State Http1Parser::feed(std::string_view bytes) {
  if (error_status_ != 0) return State::kError;
  buffer_.erase(0, at_);
  at_ = 0;
  buffer_.append(bytes);
  return parse();
}

Http1Request Http1Parser::take() {
  Http1Request out = std::move(request_);
  request_ = Http1Request();
  phase_ = Phase::kStart;
  head_bytes_ = body_left_ = 0;
  expects_continue_ = dropping_ = false;
  return out;
}

// A line without its CRLF. False on an error; `missing` if it has not all arrived.
bool Http1Parser::take_line(std::string& line, bool& missing) {
  size_t end = buffer_.find('\n', at_);
  if ((end == std::string::npos ? buffer_.size() : end) - at_ > kMaxLine) {
    return fail(phase_ == Phase::kStart ? 400 : 431);
  }
  missing = end == std::string::npos;
  if (missing) return true;
  if (end == at_ || buffer_[end - 1] != '\r') return fail(400);
  line = buffer_.substr(at_, end - 1 - at_);
  head_bytes_ += end + 1 - at_;
  at_ = end + 1;
  if (head_bytes_ > kMaxHead && phase_ != Phase::kChunkSize) return fail(431);
  return true;
}

bool Http1Parser::start_line(std::string_view line) {
  size_t first = line.find(' ');
  size_t second = first == std::string_view::npos ? first : line.find(' ', first + 1);
  if (second == std::string_view::npos) return fail(400);
  std::string_view method = line.substr(0, first);
  std::string_view target = line.substr(first + 1, second - first - 1);
  std::string_view version = line.substr(second + 1);
  bool printable =
      std::all_of(target.begin(), target.end(), [](char c) { return c > 0x20 && c < 0x7f; });
  if (!is_token(method) || target.empty() || target.front() != '/' || !printable) return fail(400);
  if (version == "HTTP/1.0") {
    request_.keep_alive = false;
  } else if (version != "HTTP/1.1") {
    return fail(version.substr(0, 5) == "HTTP/" ? 505 : 400);
  }
  request_.method = method;
  request_.target = target;
  return true;
}

bool Http1Parser::header_line(std::string_view line) {
  size_t colon = line.find(':');
  if (colon == std::string_view::npos || !is_token(line.substr(0, colon))) return fail(400);
  std::string_view value = trim(line.substr(colon + 1));
  bool clean = std::all_of(value.begin(), value.end(), [](char c) {
    return c == '\t' || (static_cast<unsigned char>(c) >= 0x20 && c != 0x7f);
  });
  if (!clean) return fail(400);
  if (request_.headers.size() == kMaxHeaders) return fail(431);
  request_.headers.emplace_back(lower(line.substr(0, colon)), value);
  return true;
}

bool Http1Parser::end_of_headers() {
  const std::string* length = nullptr;
  const std::string* coding = nullptr;
  size_t hosts = 0;
  for (const auto& [name, value] : request_.headers) {
    if (name == "content-length") {
      if (length) return fail(400);
      length = &value;
    } else if (name == "transfer-encoding") {
      if (coding) return fail(400);
      coding = &value;
    } else if (name == "host") {
      ++hosts;
    } else if (name == "connection") {
      if (lower(value).find("close") != std::string::npos) request_.keep_alive = false;
    } else if (name == "expect") {
      if (lower(value) != "100-continue") return fail(400);
      expects_continue_ = true;
    }
  }
  if (hosts > 1 || (hosts == 0 && request_.keep_alive)) return fail(400);
  if (length && coding) return fail(400);  // request smuggling lives here
  if (admits_ && !admits_(request_)) return fail(401);
  dropping_ = drops_ && drops_(request_.target);
  if (coding) {
    if (lower(*coding) != "chunked") return fail(501);
    phase_ = Phase::kChunkSize;
    return true;
  }
  body_left_ = 0;
  bool digits =
      !length || (!length->empty() && std::all_of(length->begin(), length->end(),
                                                  [](char c) { return c >= '0' && c <= '9'; }));
  if (!digits || (length && !to_size(*length, 10, body_left_))) return fail(400);
  if (body_left_ > max_body_ && !dropping_) return fail(413);
  phase_ = body_left_ > 0 ? Phase::kBody : Phase::kDone;
  return true;
}

bool Http1Parser::chunk_size(std::string_view line) {
  std::string_view digits = trim(line.substr(0, line.find(';')));
  if (!to_size(digits, 16, body_left_)) return fail(400);
  if (!dropping_ && (body_left_ > max_body_ || request_.body.size() + body_left_ > max_body_)) {
    return fail(413);
  }
  if (body_left_ == 0) {
    phase_ = Phase::kTrailers;
    head_bytes_ = 0;
  } else {
    phase_ = Phase::kChunkData;
  }
  return true;
}

// Moves what is there of the body; true once all of it is.
bool Http1Parser::append_body() {
  size_t n = std::min(body_left_, buffer_.size() - at_);
  if (!dropping_) request_.body.append(buffer_, at_, n);
  at_ += n;
  body_left_ -= n;
  return body_left_ == 0;
}

Http1Parser::State Http1Parser::parse() {
  for (;;) {
    std::string line;
    bool missing = false;
    switch (phase_) {
      case Phase::kDone:
        return State::kRequest;
      case Phase::kBody:
      case Phase::kChunkData:
        if (!append_body()) {
          if (std::exchange(expects_continue_, false)) return State::kContinue;
          return State::kMore;
        }
        phase_ = phase_ == Phase::kBody ? Phase::kDone : Phase::kChunkEnd;
        continue;
      default:
        break;
    }
    if (!take_line(line, missing)) return State::kError;
    if (missing) {
      bool in_body = phase_ == Phase::kChunkSize;
      if (in_body && std::exchange(expects_continue_, false)) return State::kContinue;
      return State::kMore;
    }
    bool good = true;
    switch (phase_) {
      case Phase::kStart:
        // One empty line before a request is forgiven, as the specification asks.
        if (line.empty() && head_bytes_ == 2) continue;
        phase_ = Phase::kHeaders;
        good = start_line(line);
        break;
      case Phase::kHeaders:
        good = line.empty() ? end_of_headers() : header_line(line);
        break;
      case Phase::kChunkSize:
        good = chunk_size(line);
        break;
      case Phase::kChunkEnd:
        phase_ = Phase::kChunkSize;
        good = line.empty() || fail(400);
        break;
      case Phase::kTrailers:  // read and dropped
        if (line.empty()) phase_ = Phase::kDone;
        break;
      default:
        break;
    }
    if (!good) return State::kError;
  }
}

std::string http1_response_head(int status,
                                const std::vector<std::pair<std::string, std::string>>& headers,
                                size_t body_size, bool keep_alive) {
  std::string out = "HTTP/1.1 " + std::to_string(status) + " " + reason_of(status) + "\r\n";
  for (const auto& [name, value] : headers) out += name + ": " + value + "\r\n";
  out += "content-length: " + std::to_string(body_size) + "\r\n";
  if (!keep_alive) out += "connection: close\r\n";
  return out + "\r\n";
}

}  // namespace depot::builderd

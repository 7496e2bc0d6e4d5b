#include "load/answer.h"

#include <strings.h>

#include <algorithm>
#include <charconv>

namespace depot::load {
namespace {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;

constexpr size_t kMaxHead = 32 << 10;
constexpr size_t kMaxLine = 4 << 10;

Status not_http() {
  return Status(Code::kUnavailable, Hop::kLocal, "it does not answer as a Docker Engine does");
}

std::string_view trimmed(std::string_view text) {
  while (!text.empty() && (text.front() == ' ' || text.front() == '\t')) text.remove_prefix(1);
  while (!text.empty() && (text.back() == ' ' || text.back() == '\t')) text.remove_suffix(1);
  return text;
}

bool same(std::string_view a, std::string_view b) {
  return a.size() == b.size() && ::strncasecmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace

Status Answer::read_head() {
  std::string_view rest = head_;
  auto next = [&] {
    size_t end = rest.find("\r\n");
    std::string_view line = rest.substr(0, end);
    rest.remove_prefix(std::min(end + 2, rest.size()));
    return line;
  };
  std::string_view first = next();
  if (!first.starts_with("HTTP/1.") || first.size() < 12 || first[8] != ' ') return not_http();
  auto [stop, error] = std::from_chars(first.data() + 9, first.data() + 12, status_);
  if (error != std::errc() || stop != first.data() + 12 || status_ < 100 || status_ > 599)
    return not_http();
  head_ = std::string(rest);  // the first line is not asked for again
  rest = head_;
  bool chunked = false, sized = false;
  while (!rest.empty()) {
    std::string_view line = next();
    size_t colon = line.find(':');
    if (colon == std::string_view::npos) continue;
    std::string_view name = line.substr(0, colon), value = trimmed(line.substr(colon + 1));
    if (same(name, "transfer-encoding")) {
      if (!same(value, "chunked")) return not_http();
      chunked = true;
    } else if (same(name, "content-length")) {
      auto [last, wrong] = std::from_chars(value.data(), value.data() + value.size(), left_);
      if (wrong != std::errc() || last != value.data() + value.size()) return not_http();
      sized = true;
    }
  }
  head_.clear();
  if (status_ < 200) {  // 100 Continue: the answer follows
    status_ = 0;
    left_ = 0;
    return {};
  }
  if (chunked)
    state_ = State::kChunkSize;
  else if (status_ == 204 || status_ == 304 || (sized && left_ == 0))
    state_ = State::kDone;
  else
    state_ = sized ? State::kSized : State::kToEnd;
  return {};
}

Result<bool> Answer::read_line(std::string_view& bytes) {
  size_t end = bytes.find('\n');
  std::string_view piece = bytes.substr(0, end == std::string_view::npos ? end : end + 1);
  if (line_.size() + piece.size() > kMaxLine) return not_http();
  line_.append(piece);
  bytes.remove_prefix(piece.size());
  if (end == std::string_view::npos) return false;
  line_.pop_back();
  if (!line_.empty() && line_.back() == '\r') line_.pop_back();
  return true;
}

Status Answer::read_chunk_size() {
  std::string_view digits = trimmed(std::string_view(line_).substr(0, line_.find(';')));
  auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), left_, 16);
  if (digits.empty() || error != std::errc() || stop != digits.data() + digits.size())
    return not_http();
  line_.clear();
  state_ = left_ == 0 ? State::kTrailer : State::kChunk;
  return {};
}

Status Answer::feed(std::string_view bytes) {
  while (!bytes.empty() && state_ != State::kDone) {
    switch (state_) {
      case State::kHead: {
        size_t before = head_.size();
        head_.append(bytes.substr(0, kMaxHead));
        size_t end = head_.find("\r\n\r\n", before < 3 ? 0 : before - 3);
        if (end == std::string::npos) {
          if (head_.size() >= kMaxHead) return not_http();
          return {};
        }
        bytes.remove_prefix(end + 4 - before);
        head_.resize(end + 2);
        DEPOT_TRY(read_head());
        break;
      }
      case State::kSized:
      case State::kChunk: {
        auto size = static_cast<size_t>(std::min<uint64_t>(left_, bytes.size()));
        left_ -= size;
        std::string_view piece = bytes.substr(0, size);
        bytes.remove_prefix(size);
        if (left_ == 0) state_ = state_ == State::kSized ? State::kDone : State::kChunkEnd;
        DEPOT_TRY(body_(piece));
        break;
      }
      case State::kToEnd:
        return body_(bytes);
      case State::kChunkSize:
      case State::kChunkEnd:
      case State::kTrailer: {
        DEPOT_ASSIGN(bool whole, read_line(bytes));
        if (!whole) return {};
        if (state_ == State::kChunkSize) {
          DEPOT_TRY(read_chunk_size());
          break;
        }
        bool blank = line_.empty();
        line_.clear();
        if (state_ == State::kTrailer) {
          if (blank) state_ = State::kDone;
        } else if (blank) {
          state_ = State::kChunkSize;
        } else {
          return not_http();
        }
        break;
      }
      case State::kDone:
        break;
    }
  }
  return {};
}

Status Answer::end() {
  if (state_ == State::kToEnd) state_ = State::kDone;
  if (done()) return {};
  return Status(Code::kUnavailable, Hop::kLocal,
                "the Docker Engine closed the connection before it had answered");
}

}  // namespace depot::load

#include "http2/message_reader.h"

#include <algorithm>
#include <utility>

#include "http2/gzip.h"

namespace depot::http2 {

using base::Code;
using base::Hop;
using base::Status;

namespace {
constexpr size_t kPrefix = 5;
// Messages up to this size are put together in one piece of memory that stays: senders cut what
// they send into messages of one size, and a new piece for each of them costs more than its bytes.
constexpr size_t kKept = 256 << 10;
}  // namespace

Status MessageReader::check(const uint8_t* prefix, size_t& size) const {
  if (prefix[0] > 1 || (prefix[0] == 1 && !gzip_))
    return Status(Code::kUnimplemented, Hop::kSession, "compressed messages were not offered");
  size = static_cast<size_t>(prefix[1]) << 24 | static_cast<size_t>(prefix[2]) << 16 |
         static_cast<size_t>(prefix[3]) << 8 | prefix[4];
  if (size > max_message_)
    return Status(Code::kResourceExhausted, Hop::kSession,
                  "received message larger than max (" + std::to_string(size) + " vs. " +
                      std::to_string(max_message_) + ")");
  return {};
}

base::Result<bool> MessageReader::give(bool packed, std::span<const uint8_t> message,
                                       const Take& fn) const {
  if (!packed) return fn(message);
  DEPOT_ASSIGN(
      std::string text,
      gunzip({reinterpret_cast<const char*>(message.data()), message.size()}, max_message_));
  return fn({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
}

Status MessageReader::feed(std::span<const uint8_t> data, const Take& fn, const TakePart& part) {
  while (!data.empty()) {
    if (left_ > 0) {
      auto more = data.first(std::min(left_, data.size()));
      left_ -= more.size();
      data = data.subspan(more.size());
      if (!part(more, left_)) return {};
      continue;
    }
    size_t size = 0;
    if (partial_.empty() && data.size() >= kPrefix) {
      DEPOT_TRY(check(data.data(), size));
      if (data.size() - kPrefix >= size) {
        DEPOT_ASSIGN(bool more, give(data[0] == 1, data.subspan(kPrefix, size), fn));
        if (!more) return {};
        data = data.subspan(kPrefix + size);
        continue;
      }
      auto begun = data.subspan(kPrefix);
      if (part && data[0] == 0 && !begun.empty() && part(begun, size - begun.size())) {
        left_ = size - begun.size();
        return {};
      }
    }
    // Fill up the prefix first, then the message.
    size_t want = kPrefix;
    if (partial_.size() >= kPrefix) {
      DEPOT_TRY(check(reinterpret_cast<const uint8_t*>(partial_.data()), size));
      want += size;
    }
    // Not what a prefix alone promises.
    if (want > partial_.capacity()) partial_.reserve(std::min(want, kKept));
    size_t take = std::min(want - partial_.size(), data.size());
    partial_.append(reinterpret_cast<const char*>(data.data()), take);
    data = data.subspan(take);
    if (partial_.size() < kPrefix) continue;
    DEPOT_TRY(check(reinterpret_cast<const uint8_t*>(partial_.data()), size));
    if (partial_.size() == kPrefix + size) {
      std::string whole = std::exchange(partial_, std::string());
      auto message = reinterpret_cast<const uint8_t*>(whole.data());
      DEPOT_ASSIGN(bool more, give(message[0] == 1, {message + kPrefix, size}, fn));
      if (whole.capacity() <= kKept) {
        whole.clear();
        partial_ = std::move(whole);
      }
      if (!more) return {};
    }
  }
  return {};
}

}  // namespace depot::http2

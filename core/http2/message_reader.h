// gRPC's length-prefixed messages, put together from DATA of any fragmentation. Private to http2.
#pragma once

#include <cstdint>
#include <functional>
#include <span>
#include <string>

#include "base/status.h"

namespace depot::http2 {

class MessageReader {
 public:
  // `gzip`: compressed messages were offered, and are unpacked.
  explicit MessageReader(size_t max_message, bool gzip = false)
      : max_message_(max_message), gzip_(gzip) {}

  using Take = std::function<bool(std::span<const uint8_t>)>;
  // What came of a message, and how much of it is to follow.
  using TakePart = std::function<bool(std::span<const uint8_t>, size_t left)>;

  // Calls `fn` with each whole message; one that lies in `data` whole is not copied. `fn` returns
  // false to stop. kResourceExhausted for a message above the limit, packed or unpacked;
  // kUnimplemented for a compressed one that nobody offered.
  // The beginning of one that does not is offered to `part`: false, and it is put together for
  // `fn`; true, and all that follows of it goes there as it comes, to `left` of 0. Then `part` may
  // return false to stop, too.
  base::Status feed(std::span<const uint8_t> data, const Take& fn, const TakePart& part = nullptr);
  // True between two messages.
  bool at_boundary() const { return partial_.empty() && left_ == 0; }
  // Bytes of a message that is not whole.
  size_t held() const { return partial_.size(); }
  void drop() { partial_ = std::string(); }

 private:
  base::Status check(const uint8_t* prefix, size_t& size) const;
  base::Result<bool> give(bool packed, std::span<const uint8_t> message, const Take& fn) const;

  const size_t max_message_;
  const bool gzip_;
  std::string partial_;  // prefix and what came of the message
  size_t left_ = 0;      // to come of one that is taken in parts
};

}  // namespace depot::http2

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

  // Calls `fn` with each whole message; one that lies in `data` whole is not copied. `fn` returns
  // false to stop. kResourceExhausted for a message above the limit, packed or unpacked;
  // kUnimplemented for a compressed one that nobody offered.
  base::Status feed(std::span<const uint8_t> data,
                    const std::function<bool(std::span<const uint8_t>)>& fn);
  // True between two messages.
  bool at_boundary() const { return partial_.empty(); }
  // Bytes of a message that is not whole.
  size_t held() const { return partial_.size(); }
  void drop() { partial_ = std::string(); }

 private:
  using Take = std::function<bool(std::span<const uint8_t>)>;
  base::Status check(const uint8_t* prefix, size_t& size) const;
  base::Result<bool> give(bool packed, std::span<const uint8_t> message, const Take& fn) const;

  const size_t max_message_;
  const bool gzip_;
  std::string partial_;  // prefix and what came of the message
};

}  // namespace depot::http2

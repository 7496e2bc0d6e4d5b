#include "session/bytes_message.h"

#include <algorithm>

namespace depot::session {
namespace {

// Reads across slice borders.
class Cursor {
 public:
  explicit Cursor(const std::vector<std::span<const uint8_t>>& slices) : slices_(slices) {
    skip_empty();
  }

  bool at_end() const { return index_ == slices_.size(); }

  bool varint(uint64_t& out) {
    out = 0;
    for (int shift = 0; shift < 64; shift += 7) {
      if (at_end()) return false;
      uint8_t byte = slices_[index_][offset_];
      advance(1);
      out |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if ((byte & 0x80) == 0) return true;
    }
    return false;
  }

  // Hands `size` bytes out piece by piece; `fn` may be null to skip them.
  bool take(uint64_t size, const std::function<void(std::span<const uint8_t>)>* fn) {
    while (size > 0) {
      if (at_end()) return false;
      auto piece = slices_[index_].subspan(offset_);
      if (piece.size() > size) piece = piece.first(static_cast<size_t>(size));
      if (fn != nullptr) (*fn)(piece);
      size -= piece.size();
      advance(piece.size());
    }
    return true;
  }

 private:
  void advance(size_t bytes) {
    offset_ += bytes;
    if (offset_ == slices_[index_].size()) {
      ++index_;
      offset_ = 0;
      skip_empty();
    }
  }
  void skip_empty() {
    while (index_ < slices_.size() && slices_[index_].empty()) ++index_;
  }

  const std::vector<std::span<const uint8_t>>& slices_;
  size_t index_ = 0;
  size_t offset_ = 0;
};

}  // namespace

void write_bytes_message_header(std::span<uint8_t, kBytesMessageHeader> out, size_t payload) {
  out[0] = 0x0a;  // field 1, length-delimited
  out[1] = static_cast<uint8_t>(0x80 | (payload & 0x7f));
  out[2] = static_cast<uint8_t>(0x80 | (payload >> 7 & 0x7f));
  out[3] = static_cast<uint8_t>(0x80 | (payload >> 14 & 0x7f));
  out[4] = static_cast<uint8_t>(payload >> 21 & 0x7f);
}

bool read_bytes_message(const std::vector<std::span<const uint8_t>>& slices,
                        const std::function<void(std::span<const uint8_t>)>& fn) {
  Cursor cursor(slices);
  while (!cursor.at_end()) {
    uint64_t tag = 0;
    if (!cursor.varint(tag) || tag >> 3 == 0) return false;
    uint64_t length = 0;
    switch (tag & 7) {
      case 0:
        if (!cursor.varint(length)) return false;
        break;
      case 1:
        if (!cursor.take(8, nullptr)) return false;
        break;
      case 2:
        if (!cursor.varint(length)) return false;
        if (!cursor.take(length, tag >> 3 == 1 ? &fn : nullptr)) return false;
        break;
      case 5:
        if (!cursor.take(4, nullptr)) return false;
        break;
      default:
        return false;
    }
  }
  return true;
}

}  // namespace depot::session

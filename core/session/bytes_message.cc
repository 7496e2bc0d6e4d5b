#include "session/bytes_message.h"

#include <algorithm>

namespace depot::session {

void write_bytes_message_header(std::span<uint8_t, kBytesMessageHeader> out, size_t payload) {
  out[0] = 0x0a;  // field 1, length-delimited
  out[1] = static_cast<uint8_t>(0x80 | (payload & 0x7f));
  out[2] = static_cast<uint8_t>(0x80 | (payload >> 7 & 0x7f));
  out[3] = static_cast<uint8_t>(0x80 | (payload >> 14 & 0x7f));
  out[4] = static_cast<uint8_t>(payload >> 21 & 0x7f);
}

bool BytesMessageReader::varint(uint8_t byte) {
  value_ |= static_cast<uint64_t>(byte & 0x7f) << shift_;
  shift_ += 7;
  if ((byte & 0x80) != 0) {
    malformed_ = shift_ > 63;
    return false;
  }
  shift_ = 0;
  return true;
}

// After its tag.
bool BytesMessageReader::begin_field() {
  field_ = value_ >> 3;
  uint64_t kind = value_ & 7;
  value_ = 0;
  switch (kind) {
    case 0:
      in_ = In::kVarint;
      break;
    case 1:
    case 5:
      in_ = In::kSkipped;
      value_ = kind == 1 ? 8 : 4;
      break;
    case 2:
      in_ = In::kLength;
      break;
    default:
      return false;
  }
  return field_ != 0;
}

bool BytesMessageReader::feed(std::span<const uint8_t> bytes, bool last,
                              const std::function<void(std::span<const uint8_t>)>& fn) {
  while (!bytes.empty() && !malformed_) {
    if (in_ == In::kData || in_ == In::kSkipped) {
      auto piece = bytes.first(static_cast<size_t>(std::min<uint64_t>(value_, bytes.size())));
      bytes = bytes.subspan(piece.size());
      value_ -= piece.size();
      bool data = in_ == In::kData;
      if (value_ == 0) in_ = In::kTag;
      if (data) fn(piece);
      continue;
    }
    uint8_t byte = bytes.front();
    bytes = bytes.subspan(1);
    if (!varint(byte)) continue;
    switch (in_) {
      case In::kTag:
        malformed_ = !begin_field();
        break;
      case In::kLength:
        in_ = value_ == 0 ? In::kTag : field_ == 1 ? In::kData : In::kSkipped;
        break;
      default:
        in_ = In::kTag;
        value_ = 0;
    }
  }
  if (last && (in_ != In::kTag || shift_ != 0)) malformed_ = true;
  return !malformed_;
}

}  // namespace depot::session

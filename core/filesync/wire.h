// Protobuf's wire format, as little of it as packet.cc needs.
#pragma once

#include <cstddef>
#include <cstdint>
#include <cstring>
#include <span>
#include <string_view>

namespace depot::filesync::wire {

inline constexpr uint32_t kVarint = 0;
inline constexpr uint32_t kFixed64 = 1;
inline constexpr uint32_t kBytes = 2;
inline constexpr uint32_t kFixed32 = 5;

inline size_t varint_size(uint64_t value) {
  size_t size = 1;
  while (value >= 0x80) {
    value >>= 7;
    ++size;
  }
  return size;
}

inline uint8_t* put_varint(uint8_t* out, uint64_t value) {
  while (value >= 0x80) {
    *out++ = static_cast<uint8_t>(value | 0x80);
    value >>= 7;
  }
  *out++ = static_cast<uint8_t>(value);
  return out;
}

// All tags here have field numbers below 16: one byte.
inline uint8_t* put_tag(uint8_t* out, uint32_t field, uint32_t type) {
  *out++ = static_cast<uint8_t>(field << 3 | type);
  return out;
}

inline uint8_t* put_bytes(uint8_t* out, std::string_view bytes) {
  if (!bytes.empty()) std::memcpy(out, bytes.data(), bytes.size());
  return out + bytes.size();
}

inline uint8_t* put_field(uint8_t* out, uint32_t field, uint64_t value) {
  if (value == 0) return out;
  return put_varint(put_tag(out, field, kVarint), value);
}
inline size_t field_size(uint64_t value) {
  return value == 0 ? 0 : 1 + varint_size(value);
}

inline uint8_t* put_field(uint8_t* out, uint32_t field, std::string_view bytes) {
  return put_bytes(put_varint(put_tag(out, field, kBytes), bytes.size()), bytes);
}
inline size_t field_size(std::string_view bytes) {
  return 1 + varint_size(bytes.size()) + bytes.size();
}

// A cursor over untrusted bytes. After the first failure ok() is false and nothing is read.
class Reader {
 public:
  explicit Reader(std::span<const uint8_t> bytes) : at_(bytes.data()), end_(at_ + bytes.size()) {}

  bool ok() const { return ok_; }
  bool done() const { return !ok_ || at_ == end_; }

  uint64_t varint() {
    if (at_ != end_ && *at_ < 0x80) return *at_++;  // most are
    uint64_t value = 0;
    for (unsigned shift = 0; shift < 64; shift += 7) {
      if (at_ == end_) return fail();
      uint8_t byte = *at_++;
      if (shift == 63 && byte > 1) return fail();
      value |= static_cast<uint64_t>(byte & 0x7f) << shift;
      if (byte < 0x80) return value;
    }
    return fail();
  }

  std::span<const uint8_t> bytes() {
    uint64_t size = varint();
    if (!ok_ || size > static_cast<size_t>(end_ - at_)) {
      fail();
      return {};
    }
    std::span<const uint8_t> result(at_, static_cast<size_t>(size));
    at_ += size;
    return result;
  }

  std::string_view text() {
    auto view = bytes();
    return {reinterpret_cast<const char*>(view.data()), view.size()};
  }

  // False at the end or on failure.
  bool next(uint32_t* field, uint32_t* type) {
    if (done()) return false;
    uint64_t tag = varint();
    if (!ok_ || tag >> 3 == 0 || tag > UINT32_MAX) {
      fail();
      return false;
    }
    *field = static_cast<uint32_t>(tag >> 3);
    *type = static_cast<uint32_t>(tag & 7);
    return true;
  }

  void skip(uint32_t type) {
    switch (type) {
      case kVarint:
        varint();
        break;
      case kFixed64:
        advance(8);
        break;
      case kBytes:
        bytes();
        break;
      case kFixed32:
        advance(4);
        break;
      default:
        fail();  // groups: nobody sends them
    }
  }

  void expect(uint32_t type, uint32_t wanted) {
    if (type != wanted) fail();
  }

 private:
  uint64_t fail() {
    ok_ = false;
    return 0;
  }
  void advance(size_t count) {
    if (static_cast<size_t>(end_ - at_) < count) {
      fail();
    } else {
      at_ += count;
    }
  }

  const uint8_t* at_;
  const uint8_t* end_;
  bool ok_ = true;
};

}  // namespace depot::filesync::wire

// moby.buildkit.v1.BytesMessage{data:1}, read in place and written with room for its header.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>

namespace depot::session {

// Tag and a length padded to four bytes: a fixed size, so that the payload can be produced behind
// it before its length is known. Padded varints are legal protobuf and accepted by Go.
constexpr size_t kBytesMessageHeader = 5;
void write_bytes_message_header(std::span<uint8_t, kBytesMessageHeader> out, size_t payload);

// Reads one message after the other, each of which may come in pieces.
class BytesMessageReader {
 public:
  // Calls `fn` with what `bytes` have of every `data` field, in order, without copying; unknown
  // fields are skipped. `last`: the message ends with them. False when it is malformed, and from
  // then on.
  bool feed(std::span<const uint8_t> bytes, bool last,
            const std::function<void(std::span<const uint8_t>)>& fn);

 private:
  enum class In { kTag, kVarint, kLength, kData, kSkipped };
  bool varint(uint8_t byte);  // its last one
  bool begin_field();

  In in_ = In::kTag;
  uint64_t value_ = 0;  // of the varint that is being read; of kData and kSkipped, bytes to come
  int shift_ = 0;
  uint64_t field_ = 0;
  bool malformed_ = false;
};

}  // namespace depot::session

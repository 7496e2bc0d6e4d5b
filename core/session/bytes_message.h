// moby.buildkit.v1.BytesMessage{data:1}, read in place and written with room for its header.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <span>
#include <vector>

namespace depot::session {

// Tag and a length padded to four bytes: a fixed size, so that the payload can be produced behind
// it before its length is known. Padded varints are legal protobuf and accepted by Go.
constexpr size_t kBytesMessageHeader = 5;
void write_bytes_message_header(std::span<uint8_t, kBytesMessageHeader> out, size_t payload);

// Calls `fn` with the pieces of every `data` field, in order, without copying; unknown fields are
// skipped. False when the message is malformed.
bool read_bytes_message(const std::vector<std::span<const uint8_t>>& slices,
                        const std::function<void(std::span<const uint8_t>)>& fn);

}  // namespace depot::session

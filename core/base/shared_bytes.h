// Bytes in somebody's memory, and what keeps them there: how content goes from the disk to the
// socket without being copied on the way.
#pragma once

#include <cstdint>
#include <memory>
#include <span>

namespace depot::base {

struct SharedBytes {
  std::span<const uint8_t> bytes;
  // Unchanged until the last copy of this goes, on whatever thread that is. Null: the bytes are
  // good for the length of a call alone, and whoever keeps them longer copies them.
  std::shared_ptr<const void> owner;
};

}  // namespace depot::base

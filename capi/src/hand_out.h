// Structs that the library fills for a caller who may know fewer fields of them.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace depot::capi {

// Up to and with a member: the size of a struct as it was when that was its last one.
#define DEPOT_SIZE_TO(type, member) (offsetof(type, member) + sizeof(type::member))

// Fields beyond the caller's struct are not written; a struct smaller than the first is refused.
template <class Out>
int32_t hand_out(const Out& filled, size_t first_size, Out* out) {
  if (out == nullptr || out->size < first_size) return 0;
  size_t size = out->size;
  std::memcpy(static_cast<void*>(out), &filled, std::min(size, sizeof(Out)));
  out->size = size;
  return 1;
}

}  // namespace depot::capi

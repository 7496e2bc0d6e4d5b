// Random identifiers as BuildKit's clients make them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <string>

namespace depot::base {

// 25 characters of [0-9a-z] with 125 bits or more of the kernel's randomness: solve refs, session
// ids, container ids (protocol.md 1.4).
std::string random_id();
// `bytes` random bytes as lower-case hex.
std::string random_hex(size_t bytes);
// To seed a generator with. Not std::random_device: the C++ library's would need glibc 2.36 when it
// is linked in.
uint32_t random_seed();

}  // namespace depot::base

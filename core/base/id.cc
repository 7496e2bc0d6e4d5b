#include "base/id.h"

#include <sys/random.h>

#include <array>
#include <bit>
#include <cerrno>
#include <cstdint>
#include <cstdlib>
#include <span>

namespace depot::base {
namespace {

void fill_random(std::span<uint8_t> out) {
  while (!out.empty()) {
    ssize_t got = getrandom(out.data(), out.size(), 0);
    if (got < 0 && errno == EINTR) continue;
    // The kernel has had its entropy since boot; a failure here means no getrandom at all, and an
    // id that is not random would break the isolation between sessions.
    if (got <= 0) std::abort();
    out = out.subspan(static_cast<size_t>(got));
  }
}

}  // namespace

std::string random_id() {
  constexpr char kDigits[] = "0123456789abcdefghijklmnopqrstuvwxyz";
  std::string id;
  id.reserve(25);
  while (id.size() < 25) {
    std::array<uint8_t, 32> bytes{};
    fill_random(bytes);
    for (uint8_t byte : bytes) {
      // 252 is the largest multiple of 36 in a byte: above it the digits would not be even.
      if (byte < 252 && id.size() < 25) id.push_back(kDigits[byte % 36]);
    }
  }
  return id;
}

std::string random_hex(size_t count) {
  constexpr char kHex[] = "0123456789abcdef";
  std::string bytes(count, '\0');
  fill_random({reinterpret_cast<uint8_t*>(bytes.data()), bytes.size()});
  std::string hex;
  hex.reserve(count * 2);
  for (char byte : bytes) {
    auto value = static_cast<uint8_t>(byte);
    hex.push_back(kHex[value >> 4]);
    hex.push_back(kHex[value & 15]);
  }
  return hex;
}

uint32_t random_seed() {
  std::array<uint8_t, 4> bytes{};
  fill_random(bytes);
  return std::bit_cast<uint32_t>(bytes);
}

}  // namespace depot::base

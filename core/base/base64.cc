#include "base/base64.h"

#include <algorithm>
#include <array>
#include <cstdint>

#include "base/secret.h"

namespace depot::base {
namespace {

constexpr std::string_view kAlphabet =
    "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
constexpr uint8_t kNone = 0xff;

constexpr std::array<uint8_t, 256> kValues = [] {
  std::array<uint8_t, 256> values{};
  for (auto& value : values) value = kNone;
  for (size_t i = 0; i < kAlphabet.size(); ++i)
    values[static_cast<unsigned char>(kAlphabet[i])] = static_cast<uint8_t>(i);
  return values;
}();

}  // namespace

std::string base64_encode(std::string_view bytes, Padding padding) {
  std::string out;
  out.reserve((bytes.size() + 2) / 3 * 4);
  for (size_t i = 0; i < bytes.size(); i += 3) {
    size_t have = std::min<size_t>(bytes.size() - i, 3);
    uint32_t bits = 0;
    for (size_t k = 0; k < 3; ++k)
      bits = bits << 8 | (k < have ? static_cast<uint8_t>(bytes[i + k]) : 0U);
    for (size_t k = 0; k < 4; ++k) {
      if (k <= have)
        out += kAlphabet[bits >> (18 - 6 * k) & 63];
      else if (padding == Padding::kYes)
        out += '=';
    }
  }
  return out;
}

std::optional<std::string> base64_decode(std::string_view text) {
  std::string out;
  out.reserve(text.size() / 4 * 3 + 3);  // no growth: it may hold a password
  uint32_t bits = 0;
  int digits = 0, padding = 0;
  auto refuse = [&] {
    wipe(out);
    return std::nullopt;
  };
  for (char c : text) {
    if (c == '\n' || c == '\r') continue;
    if (c == '=') {
      ++padding;
      continue;
    }
    uint8_t value = kValues[static_cast<unsigned char>(c)];
    if (value == kNone || padding > 0) return refuse();
    bits = bits << 6 | value;
    if (++digits == 4) {
      for (int shift = 16; shift >= 0; shift -= 8) out += static_cast<char>(bits >> shift & 0xff);
      bits = 0;
      digits = 0;
    }
  }
  bool whole = (digits == 0 && padding == 0) || (digits == 2 && padding == 2) ||
               (digits == 3 && padding == 1);
  if (!whole) return refuse();
  if (digits == 2) out += static_cast<char>(bits >> 4 & 0xff);
  if (digits == 3) {
    out += static_cast<char>(bits >> 10 & 0xff);
    out += static_cast<char>(bits >> 2 & 0xff);
  }
  return out;
}

}  // namespace depot::base

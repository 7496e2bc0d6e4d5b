#include "ssh/wire.h"

namespace depot::ssh {

std::optional<uint8_t> Reader::byte() {
  if (rest_.empty()) return std::nullopt;
  auto value = static_cast<uint8_t>(rest_.front());
  rest_.remove_prefix(1);
  return value;
}

std::optional<uint32_t> Reader::number() {
  if (rest_.size() < 4) return std::nullopt;
  uint32_t value = 0;
  for (size_t i = 0; i < 4; ++i) value = value << 8 | static_cast<uint8_t>(rest_[i]);
  rest_.remove_prefix(4);
  return value;
}

std::optional<std::string_view> Reader::string() {
  Reader ahead = *this;
  auto size = ahead.number();
  if (!size || *size > ahead.rest_.size()) return std::nullopt;
  std::string_view value = ahead.rest_.substr(0, *size);
  rest_ = ahead.rest_.substr(*size);
  return value;
}

void put_number(std::string& out, uint32_t value) {
  for (int shift = 24; shift >= 0; shift -= 8) out.push_back(static_cast<char>(value >> shift));
}

void put_string(std::string& out, std::string_view value) {
  put_number(out, static_cast<uint32_t>(value.size()));
  out += value;
}

void put_mpint(std::string& out, std::string_view magnitude) {
  while (!magnitude.empty() && magnitude.front() == '\0') magnitude.remove_prefix(1);
  // The top bit would make it negative.
  bool padded = !magnitude.empty() && (static_cast<uint8_t>(magnitude.front()) & 0x80) != 0;
  put_number(out, static_cast<uint32_t>(magnitude.size() + (padded ? 1 : 0)));
  if (padded) out.push_back('\0');
  out += magnitude;
}

}  // namespace depot::ssh

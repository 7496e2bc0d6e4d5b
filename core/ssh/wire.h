// SSH's data types (RFC 4251, section 5), read with bounds and written. Private to the module.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace depot::ssh {

class Reader {
 public:
  explicit Reader(std::string_view data) : rest_(data) {}
  std::optional<uint8_t> byte();
  std::optional<uint32_t> number();
  // A string, and what an mpint is: its length, then its bytes.
  std::optional<std::string_view> string();
  std::string_view rest() const { return rest_; }

 private:
  std::string_view rest_;
};

void put_number(std::string& out, uint32_t value);
void put_string(std::string& out, std::string_view value);
// A positive number, from its bytes, the most significant first.
void put_mpint(std::string& out, std::string_view magnitude);

}  // namespace depot::ssh

// Base64 with the standard alphabet, as Go's base64.StdEncoding reads and writes it.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace depot::base {

enum class Padding { kYes, kNo };

std::string base64_encode(std::string_view bytes, Padding padding = Padding::kYes);
// Padded; line breaks are skipped. nullopt: not base64. What was decoded until then is wiped, since
// it may be half a password.
std::optional<std::string> base64_decode(std::string_view text);

}  // namespace depot::base

// Base64 as Connect has it. Private to the depotapi module.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace depot::depotapi {

// Standard or URL alphabet, padded or not; nullopt for anything else.
std::optional<std::string> base64_decode(std::string_view text);
// URL alphabet, no padding.
std::string base64url_encode(std::string_view bytes);

}  // namespace depot::depotapi

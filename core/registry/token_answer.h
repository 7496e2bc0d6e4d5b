// What a token server answers: tokens and reasons. Pure functions; private to the module.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "registry/auth.h"

namespace depot::registry {

// The token of a successful answer. `oauth`: of a POST, where only "access_token" counts; for a GET
// "token" does too. An expiry that is missing, zero or no positive number is 60 s; a time of issue
// that is missing or odd is 0. kDataLoss, Hop::kRegistry, never with a piece of the answer.
base::Result<Token> parse_token(std::string_view body, bool oauth);

// "2024-05-01T10:20:30.5+02:00" as Unix seconds; 0 for anything else.
int64_t parse_rfc3339(std::string_view text);

// Why a token server refused, by its own words: the error codes and messages of the registry API
// and of OAuth 2, one bounded line without the secrets. Empty when it gave none.
std::string refusal_reason(std::string_view body, const std::vector<std::string_view>& secrets);

// `text` from the outside as one printable line of at most `max` bytes (and "..."), with the
// secrets replaced; a text with a secret too short to be replaced safely is withheld altogether.
std::string one_line(std::string_view text, const std::vector<std::string_view>& secrets,
                     size_t max = 300);

}  // namespace depot::registry

// Text from the wire made fit for errors and logs. Private to the depotapi module.
#pragma once

#include <string>
#include <string_view>

#include "base/secret.h"

namespace depot::depotapi {

bool valid_utf8(std::string_view text);
// Valid UTF-8 of at most `limit` bytes without control characters.
bool plain(std::string_view text, size_t limit);
// At most `limit` bytes of valid UTF-8: what is not becomes U+FFFD.
std::string clean_utf8(std::string_view text, size_t limit);
// The same on one line, control characters as blanks.
std::string clean_line(std::string_view text, size_t limit);
// Replaces every occurrence of `secret` by "[redacted]": a server may send back what it got.
std::string redacted(std::string text, const base::Secret& secret);
std::string_view trimmed(std::string_view text);

}  // namespace depot::depotapi

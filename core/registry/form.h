// The encodings of requests and config files: base64, and URL queries as Go writes them. Private to
// the module.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace depot::registry {

// Standard alphabet with padding; line breaks are skipped as Go does. nullopt: not base64.
std::optional<std::string> base64_decode(std::string_view text);
std::string base64_encode(std::string_view bytes);

// Keys sorted, values of one key in order: url.Values.Encode.
using Query = std::map<std::string, std::vector<std::string>>;
std::string encode_query(const Query& query);
// What does not decode is left out, as url.URL.Query does.
Query parse_query(std::string_view text);

}  // namespace depot::registry

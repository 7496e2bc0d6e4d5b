// URL queries as Go reads and writes them. Private to the module.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace depot::registry {

// Keys sorted, values of one key in order: url.Values.Encode.
using Query = std::map<std::string, std::vector<std::string>>;
std::string encode_query(const Query& query);
// What does not decode is left out, as url.URL.Query does.
Query parse_query(std::string_view text);

}  // namespace depot::registry

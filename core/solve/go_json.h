// JSON strings as Go's encoder writes them: HTML's characters escaped, bytes that are no UTF-8
// replaced. Private to the module.
#pragma once

#include <string>
#include <string_view>

namespace depot::solve {

// With its quotes.
std::string go_json_string(std::string_view text);
// What Go escapes everywhere in JSON that was made by others.
std::string escape_html(const std::string& json);

}  // namespace depot::solve

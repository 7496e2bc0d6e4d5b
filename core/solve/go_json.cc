#include "solve/go_json.h"

#include <nlohmann/json.hpp>

namespace depot::solve {

std::string escape_html(const std::string& json) {
  std::string out;
  out.reserve(json.size());
  for (size_t i = 0; i < json.size(); ++i) {
    switch (json[i]) {
      case '<':
        out += "\\u003c";
        break;
      case '>':
        out += "\\u003e";
        break;
      case '&':
        out += "\\u0026";
        break;
      default:
        if (json.compare(i, 3, "\xe2\x80\xa8") == 0) {
          out += "\\u2028";
          i += 2;
        } else if (json.compare(i, 3, "\xe2\x80\xa9") == 0) {
          out += "\\u2029";
          i += 2;
        } else {
          out.push_back(json[i]);
        }
    }
  }
  return out;
}

std::string go_json_string(std::string_view text) {
  return escape_html(
      nlohmann::json(text).dump(-1, ' ', false, nlohmann::json::error_handler_t::replace));
}

}  // namespace depot::solve

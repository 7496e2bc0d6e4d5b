#include "http2/headers.h"

namespace depot::http2 {

std::optional<std::string_view> Headers::find(std::string_view name) const {
  for (const auto& header : list_)
    if (header.name == name) return header.value;
  return std::nullopt;
}

std::vector<std::string_view> Headers::all(std::string_view name) const {
  std::vector<std::string_view> values;
  for (const auto& header : list_)
    if (header.name == name) values.push_back(header.value);
  return values;
}

}  // namespace depot::http2

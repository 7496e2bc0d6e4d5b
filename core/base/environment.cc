#include "base/environment.h"

#include <cstring>
#include <string_view>

extern char** environ;

namespace depot::base {

Environment Environment::of_process() {
  Environment environment;
  for (char** entry = environ; entry != nullptr && *entry != nullptr; ++entry) {
    std::string_view text(*entry);
    size_t equals = text.find('=');
    if (equals == std::string_view::npos || equals == 0) continue;
    environment.values_.emplace(text.substr(0, equals), text.substr(equals + 1));
  }
  return environment;
}

std::optional<std::string> Environment::get(std::string_view name) const {
  auto it = values_.find(name);
  if (it == values_.end()) return std::nullopt;
  return it->second;
}

std::string Environment::get_or(std::string_view name, std::string_view fallback) const {
  auto it = values_.find(name);
  return it == values_.end() || it->second.empty() ? std::string(fallback) : it->second;
}

bool Environment::truthy(std::string_view name) const {
  auto value = get(name);
  if (!value) return false;
  for (std::string_view yes : {"1", "t", "T", "true", "TRUE", "True"})
    if (*value == yes) return true;
  return false;
}

}  // namespace depot::base

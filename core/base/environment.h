// The one reader of the process environment. Everything else gets an Environment handed to it, so
// that a test (or a host program that wants none) can say what the library sees.
#pragma once

#include <functional>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

namespace depot::base {

class Environment {
 public:
  Environment() = default;
  explicit Environment(std::map<std::string, std::string, std::less<>> values)
      : values_(std::move(values)) {}
  // A snapshot of this process's variables.
  static Environment of_process();

  // Unset and empty are different things.
  std::optional<std::string> get(std::string_view name) const;
  // The value, or `fallback` when unset or empty.
  std::string get_or(std::string_view name, std::string_view fallback) const;
  // Set to something that Go's strconv.ParseBool calls true (1, t, T, true, TRUE, True).
  bool truthy(std::string_view name) const;
  const std::map<std::string, std::string, std::less<>>& all() const { return values_; }

 private:
  std::map<std::string, std::string, std::less<>> values_;
};

}  // namespace depot::base

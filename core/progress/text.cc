#include "progress/text.h"

#include <array>
#include <cstdio>

namespace depot::progress {

std::string decimal(double value, int digits) {
  std::array<char, 352> out{};  // the largest double has 309 digits
  std::snprintf(out.data(), out.size(), "%.*f", digits, value);
  return out.data();
}

std::string size_text(int64_t bytes) {
  constexpr std::array kUnits = {"B", "kB", "MB", "GB", "TB", "PB", "EB"};
  size_t unit = 0;
  int64_t size = 1;
  while (unit + 1 < kUnits.size() && (bytes / size >= 1000 || bytes / size <= -1000)) {
    size *= 1000;
    ++unit;
  }
  if (unit == 0) return std::to_string(bytes) + "B";
  return decimal(static_cast<double>(bytes) / static_cast<double>(size), 2) + kUnits[unit];
}

std::string amount_text(const StepStatus& status) {
  if (status.total != 0) return " " + size_text(status.current) + " / " + size_text(status.total);
  return status.current != 0 ? " " + size_text(status.current) : "";
}

std::string log_prefix(const Step& step, Time time) {
  double seconds = 0;
  if (step.started()) seconds = seconds_between(step.intervals.back().start, time);
  return decimal(seconds, seconds < 10 ? 3 : seconds < 100 ? 2 : 1);
}

std::string platform_in_name(std::string_view name) {
  if (!name.starts_with('[')) return "";
  size_t end = name.find(']');
  if (end == std::string_view::npos) return "";
  for (std::string_view words = name.substr(1, end - 1); !words.empty();) {
    size_t space = std::min(words.find(' '), words.size());
    std::string_view word = words.substr(0, space);
    words.remove_prefix(std::min(space + 1, words.size()));
    // A stage's name has no slash, its step's number ("1/2") begins with a digit.
    size_t slash = word.find('/');
    if (slash == std::string_view::npos || slash == 0 || slash + 1 == word.size()) continue;
    if (word[0] < 'a' || word[0] > 'z') continue;
    return std::string(word.substr(0, word.find("->")));
  }
  return "";
}

}  // namespace depot::progress

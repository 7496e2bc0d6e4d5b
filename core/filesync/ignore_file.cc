#include "filesync/ignore_file.h"

#include <utility>

#include "filesync/go_text.h"

namespace depot::filesync {
namespace {

constexpr size_t kMaxLine = 64 << 10;

}  // namespace

base::Result<std::vector<std::string>> parse_ignore_file(std::string_view text) {
  std::vector<std::string> patterns;
  if (text.starts_with("\xef\xbb\xbf")) text.remove_prefix(3);
  while (!text.empty()) {
    size_t newline = text.find('\n');
    std::string_view line = text.substr(0, newline);
    text.remove_prefix(newline == std::string_view::npos ? text.size() : newline + 1);
    if (line.size() >= kMaxLine) return base::usage_error("ignore file: line too long");
    if (line.starts_with('#')) continue;  // before trimming: " #x" is a pattern
    line = trim_space(line);
    if (line.empty()) continue;
    bool inverted = line.front() == '!';
    if (inverted) line = trim_space(line.substr(1));
    std::string pattern = line.empty() ? "" : clean_path(line);
    if (pattern.size() > 1 && pattern.front() == '/') pattern.erase(0, 1);
    patterns.push_back(inverted ? "!" + pattern : std::move(pattern));
  }
  return patterns;
}

}  // namespace depot::filesync

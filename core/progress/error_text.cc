#include "progress/error_text.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <string_view>
#include <vector>

#include "progress/cells.h"

namespace depot::progress {
namespace {

constexpr size_t kMaxLine = 1000;  // of a source line: a minified one must not fill the terminal

std::vector<std::string_view> split_lines(std::string_view text) {
  std::vector<std::string_view> lines;
  for (size_t start = 0; start <= text.size();) {
    size_t end = std::min(text.find('\n', start), text.size());
    lines.push_back(text.substr(start, end - start));
    start = end + 1;
  }
  return lines;
}

}  // namespace

std::string source_excerpt(const base::SourceLocation& location) {
  if (location.ranges.empty() || location.data.empty()) return "";
  auto lines = split_lines(location.data);
  auto count = static_cast<int32_t>(std::min<size_t>(lines.size(), INT32_MAX));
  int32_t start = location.ranges[0].start_line;
  int32_t end = start;
  for (const auto& range : location.ranges) {
    start = std::min(start, range.start_line);
    end = std::max({end, range.end_line, range.start_line});
  }
  if (start < 1 || start > count) return "";
  end = std::min(end, count);
  int32_t first_marked = start;
  // A few lines around: two on each side of a single line, fewer around many.
  int32_t padding = start == end ? 4 : 2;
  for (int32_t added = 0; added < padding;) {
    if (start > 1) {
      --start;
      ++added;
    }
    if (end < count) {
      ++end;
      ++added;
    }
    ++added;
  }
  std::string out =
      location.filename + ":" + std::to_string(first_marked) + "\n--------------------\n";
  for (int32_t line = start; line <= end; ++line) {
    bool marked =
        std::any_of(location.ranges.begin(), location.ranges.end(), [&](const auto& range) {
          return line >= range.start_line && line <= std::max(range.end_line, range.start_line);
        });
    std::array<char, 32> prefix{};
    std::snprintf(prefix.data(), prefix.size(), " %3d | %s ", line, marked ? ">>>" : "   ");
    out += prefix.data();
    out += clean(lines[static_cast<size_t>(line - 1)].substr(0, kMaxLine), 0);
    out += '\n';
  }
  return out + "--------------------\n";
}

std::string error_text(const base::Error& error) {
  std::string out = error.message;
  for (const auto& source : error.sources) {
    std::string excerpt = source_excerpt(source);
    if (excerpt.empty()) continue;
    excerpt.pop_back();
    out += "\n" + excerpt;
  }
  if (!error.log_tail.empty()) {
    out += "\n------\n > ";
    out += error.vertex_name.empty() ? error.vertex_digest : error.vertex_name;
    out += ":\n" + error.log_tail + "\n------";
  }
  if (!error.hint.empty()) out += "\nhint: " + error.hint;
  return out;
}

}  // namespace depot::progress

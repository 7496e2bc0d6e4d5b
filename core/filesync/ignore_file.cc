#include "filesync/ignore_file.h"

#include "filesync/go_text.h"

namespace depot::filesync {
namespace {

constexpr size_t kTooLong = 64 << 10;
constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";

}  // namespace

base::Result<std::vector<IgnoreRule>> parse_ignore_file(std::string_view text) {
  std::vector<IgnoreRule> rules;
  for (int32_t number = 1; !text.empty(); ++number) {
    size_t end = text.find('\n');
    std::string_view line = text.substr(0, end);
    text.remove_prefix(end == text.npos ? text.size() : end + 1);
    if (line.size() >= kTooLong)
      return base::usage_error("line " + std::to_string(number) + " is longer than 64 KiB");
    if (line.ends_with('\r')) line.remove_suffix(1);
    if (number == 1 && line.starts_with(kByteOrderMark)) line.remove_prefix(kByteOrderMark.size());
    // A comment by its first byte; behind a blank it is a rule.
    if (line.starts_with('#')) continue;
    std::string_view pattern = trim_space(line);
    if (pattern.empty()) continue;
    IgnoreRule rule;
    rule.line = number;
    rule.text = pattern;
    bool inverted = pattern.front() == '!';
    if (inverted) pattern = trim_space(pattern.substr(1));
    std::string clean = pattern.empty() ? std::string() : clean_path(pattern);
    if (clean.size() > 1 && clean.front() == '/') clean.erase(0, 1);
    rule.pattern = inverted ? "!" + clean : clean;
    rules.push_back(std::move(rule));
  }
  return rules;
}

}  // namespace depot::filesync

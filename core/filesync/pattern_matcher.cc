#include "filesync/pattern_matcher.h"

#include <algorithm>
#include <utility>

#include "filesync/go_text.h"

namespace depot::filesync {
namespace {

// Of RE2's programs of one list: 16,000 of the odd patterns that need it.
constexpr size_t kMaxCost = 64 << 20;

bool matches_a_parent(const Pattern& pattern, std::string_view path) {
  std::string parent = dir_of(path);
  if (parent == ".") return false;
  for (size_t i = 0; i < parent.size(); ++i)
    if (parent[i] == '/' && pattern.matches(std::string_view(parent).substr(0, i))) return true;
  return pattern.matches(parent);
}

}  // namespace

base::Result<PatternMatcher> PatternMatcher::create(std::span<const std::string> patterns) {
  PatternMatcher matcher;
  matcher.patterns_.reserve(patterns.size());
  size_t cost = 0;
  for (const std::string& raw : patterns) {
    std::string_view trimmed = trim_space(raw);
    if (trimmed.empty()) continue;
    std::string text = clean_path(trimmed);
    bool exclusion = text[0] == '!';
    if (exclusion) {
      if (text.size() == 1) return base::usage_error("illegal exclusion pattern: \"!\"");
      text.erase(0, 1);
      matcher.exclusions_ = true;
    }
    if (glob_match(text, ".") == GlobResult::kBadPattern)
      return base::usage_error("syntax error in pattern").with_prefix(raw);
    matcher.patterns_.push_back(Pattern::compile(std::move(text), exclusion));
    cost += matcher.patterns_.back().cost();
    if (cost > kMaxCost)
      return base::Status(
          base::Code::kResourceExhausted, base::Hop::kSession,
          "the patterns take too much memory, the last of them: " + raw.substr(0, 200));
  }
  return matcher;
}

Match PatternMatcher::match(std::string_view path, const MatchState* parent, MatchState* state,
                            size_t* decided) const {
  bool known = parent != nullptr && !parent->empty();
  if (state) state->assign(patterns_.size(), 0);
  bool matched = false;
  for (size_t i = 0; i < patterns_.size(); ++i) {
    const Pattern& pattern = patterns_[i];
    bool hit = known && (*parent)[i] != 0;
    if (!hit) {
      // Nothing that this pattern could change. Its state stays "no", which children inherit.
      if (pattern.exclusion() != matched) continue;
      if (pattern.bad()) return Match::kBadPattern;
      hit = pattern.matches(path) || (!known && matches_a_parent(pattern, path));
    }
    if (!hit) continue;
    if (state) (*state)[i] = 1;
    if (decided) *decided = i;
    matched = !pattern.exclusion();
    if (matched && !exclusions_ && !state) return Match::kYes;
  }
  return matched ? Match::kYes : Match::kNo;
}

Match PatternMatcher::match_alone(std::string_view path) const {
  return match(path, nullptr, nullptr);
}

}  // namespace depot::filesync

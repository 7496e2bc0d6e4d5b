#include "filesync/entry_filter.h"

#include <algorithm>
#include <utility>

#include "filesync/follow_links.h"

namespace depot::filesync {
namespace {

using base::Result;
using base::Status;

Status bad_pattern(std::string_view which) {
  return base::usage_error("failed to match " + std::string(which) + ": syntax error in pattern");
}

// Whether a pattern that is, or is not, an exclusion could match something below the directory.
bool any_below(const PatternMatcher& matcher, bool exclusion, std::string_view dir_slash) {
  for (const Pattern& pattern : matcher.patterns())
    if (pattern.exclusion() == exclusion && pattern.may_match_below(dir_slash)) return true;
  return false;
}

}  // namespace

Result<EntryFilter> EntryFilter::create(const Filter& filter, const RootDir* root,
                                        const VirtualTree* overlay) {
  std::vector<std::string> include = filter.include;
  if (!filter.follow_paths.empty()) {
    DEPOT_ASSIGN(auto targets, follow_links(root, filter.follow_paths, overlay));
    if (targets) {
      include.insert(include.end(), targets->begin(), targets->end());
      // One of them the root: no include filter at all.
      include = dedupe_paths(std::move(include)).value_or(std::vector<std::string>());
    }
  }
  EntryFilter result;
  result.has_include_ = !include.empty();
  auto included = PatternMatcher::create(include);
  if (!included.ok()) return included.status().with_prefix("invalid includepatterns");
  result.include_ = std::move(included).value();
  auto excluded = PatternMatcher::create(filter.exclude);
  if (!excluded.ok()) return excluded.status().with_prefix("invalid excludepatterns");
  result.exclude_ = std::move(excluded).value();
  for (const auto* matcher : {&result.include_, &result.exclude_})
    for (const Pattern& pattern : matcher->patterns()) result.any_bad_ |= pattern.bad();
  return result;
}

EntryFilter::DirState EntryFilter::root_state() const {
  DirState state;
  state.included = !has_include_;
  return state;
}

Result<EntryFilter::Verdict> EntryFilter::check(std::string_view path, bool is_dir,
                                                const DirState& parent, DirState* state) const {
  Verdict verdict{true, is_dir};
  std::string dir_slash;
  auto slashed = [&]() -> std::string_view {
    if (dir_slash.empty()) dir_slash.append(path).push_back('/');
    return dir_slash;
  };
  if (has_include_) {
    Match match = include_.match(path, &parent.include, is_dir ? &state->include : nullptr);
    if (match == Match::kBadPattern) return bad_pattern("includepatterns");
    if (is_dir) state->included = match == Match::kYes;
    if (match == Match::kNo) {
      verdict.keep = false;
      if (is_dir && !any_below(include_, false, slashed())) verdict.descend = false;
    }
  }
  if (!exclude_.empty() && (verdict.keep || verdict.descend || any_bad_)) {
    Match match = exclude_.match(path, &parent.exclude, is_dir ? &state->exclude : nullptr);
    if (match == Match::kBadPattern) return bad_pattern("excludepatterns");
    if (match == Match::kYes) {
      verdict.keep = false;
      if (is_dir && (!exclude_.has_exclusions() || !any_below(exclude_, true, slashed())))
        verdict.descend = false;
    }
  }
  return verdict;
}

bool EntryFilter::may_read(std::string_view path) const {
  if (include_.has_exclusions() && include_.match_alone(path) != Match::kYes) return false;
  return !exclude_.has_exclusions() || exclude_.match_alone(path) == Match::kNo;
}

bool EntryFilter::known_names(std::string_view dir_slash, const DirState& state,
                              std::vector<std::string>* names) const {
  if (!has_include_ || state.included || any_bad_) return false;
  names->clear();
  for (const Pattern& pattern : include_.patterns()) {
    if (pattern.exclusion() || !pattern.may_match_below(dir_slash)) continue;
    if (!pattern.exact()) return false;
    std::string_view rest = std::string_view(pattern.text()).substr(dir_slash.size());
    std::string_view name = rest.substr(0, rest.find('/'));
    // Patterns may say what no entry is called.
    if (!name.empty() && name != "." && name != ".." && name.size() <= 255 &&
        name.find('\0') == std::string_view::npos)
      names->emplace_back(name);
  }
  std::sort(names->begin(), names->end());
  names->erase(std::unique(names->begin(), names->end()), names->end());
  return true;
}

}  // namespace depot::filesync

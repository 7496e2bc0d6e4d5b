// An ordered list of patterns in which a later one overrides an earlier one and '!' takes a match
// back: Go's patternmatcher.PatternMatcher. const methods may run on any number of threads.
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "filesync/pattern.h"

namespace depot::filesync {

// Which patterns matched a directory: what its children start from.
using MatchState = std::vector<uint8_t>;

enum class Match { kNo, kYes, kBadPattern };

class PatternMatcher {
 public:
  PatternMatcher() = default;  // no patterns: matches nothing
  static base::Result<PatternMatcher> create(std::span<const std::string> patterns);

  // The walk's question: is `path` matched, given its parent's state (null: nothing is known, so
  // parents are tried as well). `state`, if wanted, becomes the state of `path` itself; `decided`
  // the index of the last pattern that matched, and stays as it is when none did.
  Match match(std::string_view path, const MatchState* parent, MatchState* state,
              size_t* decided = nullptr) const;
  // The question about a lone path: it or one of its parents. With '!' rules the two may differ.
  Match match_alone(std::string_view path) const;

  bool empty() const { return patterns_.empty(); }
  bool has_exclusions() const { return exclusions_; }
  const std::vector<Pattern>& patterns() const { return patterns_; }

 private:
  std::vector<Pattern> patterns_;
  bool exclusions_ = false;
};

}  // namespace depot::filesync

#include "filesync/pattern_matcher.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "upstream_cases.h"

namespace depot::filesync {
namespace {

using Strings = std::vector<std::string>;

// As a walk asks: parents first, their states handed down.
Match match_walking(const PatternMatcher& matcher, const std::string& path) {
  MatchState parent;
  MatchState state;
  for (size_t slash = path.find('/'); slash != std::string::npos;
       slash = path.find('/', slash + 1)) {
    if (slash == 0) continue;
    EXPECT_NE(matcher.match(path.substr(0, slash), &parent, &state), Match::kBadPattern);
    parent.swap(state);
  }
  return matcher.match(path, &parent, nullptr);
}

void expect_match(const Strings& patterns, const std::string& path, bool matches) {
  SCOPED_TRACE(testing::Message() << testing::PrintToString(patterns) << " on " << path);
  auto matcher = PatternMatcher::create(patterns);
  ASSERT_TRUE(matcher.ok()) << matcher.status().message();
  Match wanted = matches ? Match::kYes : Match::kNo;
  EXPECT_EQ(matcher->match_alone(path), wanted);
  EXPECT_EQ(match_walking(*matcher, path), wanted);
  MatchState nothing_known;
  EXPECT_EQ(matcher->match(path, &nothing_known, nullptr), wanted);
}

// Repetitions multiply: seven bytes are a thousand instructions.
TEST(Patterns, AreNotAsLargeAsTheyLike) {
  std::string repeated = "*";
  for (int i = 0; i < 30; ++i) repeated += "a{1000}";
  auto one = PatternMatcher::create(Strings{repeated});
  ASSERT_TRUE(one.ok());
  EXPECT_EQ(one->match_alone("aaa"), Match::kBadPattern);
  expect_match({"?a{1000}b"}, "." + std::string(1000, 'a') + "b", true);
  auto many = PatternMatcher::create(Strings(20000, "a{9}\\d"));
  ASSERT_FALSE(many.ok());
  EXPECT_EQ(many.status().code(), base::Code::kResourceExhausted);
}

TEST(Patterns, UpstreamsCases) {
  for (const auto& [pattern, path, matches] : kPatternCases) expect_match({pattern}, path, matches);
}

TEST(Patterns, UpstreamsCasesOfSeveral) {
  for (const auto& [patterns, path, matches] : kPatternsCases)
    expect_match({patterns.begin(), patterns.end()}, path, matches);
}

TEST(Patterns, UpstreamsGlobCases) {
  for (const auto& [pattern, name, matches, bad] : kGlobCases) {
    SCOPED_TRACE(pattern);
    auto matcher = PatternMatcher::create(Strings{pattern});
    ASSERT_EQ(matcher.ok(), !bad);
    if (!bad) {
      EXPECT_EQ(matcher->match_alone(name), matches ? Match::kYes : Match::kNo) << name;
    }
  }
}

// Both engines must say the same wherever both can be asked.
TEST(Patterns, EnginesAgree) {
  for (const auto& [text, path, matches] : kPatternCases) {
    Pattern glob = Pattern::compile(text, false);
    if (glob.bad()) continue;
    Pattern re2 = Pattern::compile(text, false, true);
    EXPECT_EQ(glob.matches(path), re2.matches(path)) << text << " on " << path;
  }
  for (const auto& [text, name, matches, bad] : kGlobCases) {
    if (bad) continue;
    EXPECT_EQ(Pattern::compile(text, false).matches(name),
              Pattern::compile(text, false, true).matches(name))
        << text << " on " << name;
  }
}

TEST(Patterns, LongPatternsLeaveTheAutomaton) {
  std::string pattern = "*" + std::string(80, '?') + "*";
  Pattern compiled = Pattern::compile(pattern, false);
  EXPECT_TRUE(compiled.uses_re2());
  EXPECT_TRUE(compiled.matches(std::string(90, 'x')));
  EXPECT_FALSE(compiled.matches(std::string(79, 'x')));
}

TEST(Patterns, BlankOnesAreNone) {
  auto matcher = PatternMatcher::create(Strings{"", "  ", "\t", "a"});
  ASSERT_TRUE(matcher.ok());
  EXPECT_EQ(matcher->patterns().size(), 1u);
  EXPECT_FALSE(matcher->has_exclusions());
  auto spaced = PatternMatcher::create(Strings{"docs", "  !docs/README.md  "});
  ASSERT_TRUE(spaced.ok());
  EXPECT_TRUE(spaced->has_exclusions());
  EXPECT_EQ(spaced->patterns()[1].text(), "docs/README.md");
}

TEST(Patterns, Errors) {
  auto lone = PatternMatcher::create(Strings{"a", "!"});
  ASSERT_FALSE(lone.ok());
  EXPECT_EQ(lone.status().message(), "illegal exclusion pattern: \"!\"");
  EXPECT_EQ(lone.status().code(), base::Code::kInvalidArgument);
  EXPECT_FALSE(PatternMatcher::create(Strings{"["}).ok());
  // These show in use alone, each time.
  auto late = PatternMatcher::create(Strings{"[Local-Only]/"});
  ASSERT_TRUE(late.ok());
  EXPECT_EQ(late->match_alone("x"), Match::kBadPattern);
  EXPECT_EQ(late->match_alone("x"), Match::kBadPattern);
}

// Upstream forgets to escape these.
TEST(Patterns, AlternativesAndRepetitions) {
  expect_match({"a|b*"}, "axx", true);
  expect_match({"a|b*"}, "a|b", true);
  expect_match({"a|b"}, "a", false);  // no wildcard, no expression
  expect_match({"*a{2}"}, "xaa", true);
  expect_match({"*a{2}"}, "xa{2}", false);
}

TEST(Patterns, MayMatchBelow) {
  auto may = [](const char* pattern, const char* dir) {
    return Pattern::compile(pattern, false).may_match_below(dir);
  };
  EXPECT_TRUE(may("a/b/c", "a/"));
  EXPECT_TRUE(may("a/b/c", "a/b/"));
  EXPECT_FALSE(may("a/b/c", "a/b/c/"));
  EXPECT_FALSE(may("a/b/c", "ab/"));
  EXPECT_TRUE(may("a/**", "a/b/c/"));
  EXPECT_FALSE(may("a/**", "b/"));
  EXPECT_TRUE(may("**/x", "any/where/"));
  EXPECT_TRUE(may("a/*", "a/"));
  EXPECT_FALSE(may("a/*", "a/b/"));
  EXPECT_FALSE(may("*", "a/"));
  EXPECT_TRUE(may("a*/**/x", "abc/d/e/"));
  EXPECT_FALSE(may("a*/**/x", "b/"));
  EXPECT_TRUE(may("[^a]", "b/"));
}

}  // namespace
}  // namespace depot::filesync

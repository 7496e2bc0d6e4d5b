#include "filesync/ignore_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace depot::filesync {
namespace {

using testing::ElementsAre;

std::vector<std::string> patterns(std::string_view text) {
  auto rules = parse_ignore_file(text);
  EXPECT_TRUE(rules.ok()) << rules.status().message();
  std::vector<std::string> out;
  for (const auto& rule : *rules) out.push_back(rule.pattern);
  return out;
}

TEST(IgnoreFile, OneRuleALine) {
  EXPECT_THAT(patterns("a\n\n  b/ \r\n/c\n//d//e/../f\n.\n/\n"),
              ElementsAre("a", "b", "c", "d/f", ".", "/"));
  EXPECT_THAT(patterns(""), ElementsAre());
  EXPECT_THAT(patterns("last"), ElementsAre("last"));
}

TEST(IgnoreFile, CommentsAreKnownByTheirFirstByte) {
  EXPECT_THAT(patterns("#a\n #b\n!#c\na#d\n"), ElementsAre("#b", "!#c", "a#d"));
}

TEST(IgnoreFile, Exceptions) {
  EXPECT_THAT(patterns("!a\n! b \n!/c/\n!\n!!d\n"), ElementsAre("!a", "!b", "!c", "!", "!!d"));
}

TEST(IgnoreFile, AByteOrderMarkBeginsTheFileAlone) {
  EXPECT_THAT(patterns("\xef\xbb\xbf#a\nb\n"), ElementsAre("b"));
  EXPECT_THAT(patterns("\xef\xbb\xbf"
                       "a\n\xef\xbb\xbf"
                       "b\n"),
              ElementsAre("a",
                          "\xef\xbb\xbf"
                          "b"));
}

TEST(IgnoreFile, RulesKnowTheirPlace) {
  auto rules = parse_ignore_file("# one\n\n !a/ \nb\n");
  ASSERT_TRUE(rules.ok());
  ASSERT_EQ(rules->size(), 2u);
  EXPECT_EQ((*rules)[0].line, 3);
  EXPECT_EQ((*rules)[0].text, "!a/");
  EXPECT_EQ((*rules)[1].line, 4);
}

TEST(IgnoreFile, ALineMayBeTooLong) {
  std::string longest((64 << 10) - 1, 'x');
  EXPECT_TRUE(parse_ignore_file("a\n" + longest + "\n").ok());
  EXPECT_EQ(parse_ignore_file("a\n" + longest + "x\n").status().message(),
            "line 2 is longer than 64 KiB");
}

}  // namespace
}  // namespace depot::filesync

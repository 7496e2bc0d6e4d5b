#include "filesync/ignore_file.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace depot::filesync {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<std::string> parse(std::string_view text) {
  auto patterns = parse_ignore_file(text);
  EXPECT_TRUE(patterns.ok());
  return patterns.ok() ? *patterns : std::vector<std::string>();
}

TEST(IgnoreFile, UpstreamsCase) {
  EXPECT_THAT(
      parse("test1\n/test2\n/a/file/here\n\nlastfile\n# this is a comment\n"
            "! /inverted/abs/path\n!\n! "),
      ElementsAre("test1", "test2", "a/file/here", "lastfile", "!inverted/abs/path", "!", "!"));
}

TEST(IgnoreFile, Lines) {
  EXPECT_THAT(parse(""), IsEmpty());
  EXPECT_THAT(parse("\n\r\n  \n"), IsEmpty());
  EXPECT_THAT(parse("\xef\xbb\xbf# comment\na\r\n"), ElementsAre("a"));
  EXPECT_THAT(parse(" # no comment"), ElementsAre("# no comment"));
  EXPECT_THAT(parse("a//b/../c/\n./x\n/\n!/"), ElementsAre("a/c", "x", "/", "!/"));
  EXPECT_THAT(parse("a\xef\xbb\xbf\n\xef\xbb\xbf"
                    "b"),
              ElementsAre("a\xef\xbb\xbf",
                          "\xef\xbb\xbf"
                          "b"));
}

TEST(IgnoreFile, LongLines) {
  EXPECT_THAT(parse(std::string(65535, 'x') + "\ny"), ElementsAre(std::string(65535, 'x'), "y"));
  EXPECT_FALSE(parse_ignore_file(std::string(65536, 'x')).ok());
}

}  // namespace
}  // namespace depot::filesync

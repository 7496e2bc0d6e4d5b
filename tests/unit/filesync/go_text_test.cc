#include "filesync/go_text.h"

#include <gtest/gtest.h>

#include <utility>

namespace depot::filesync {
namespace {

// path/filepath's own cases.
TEST(GoText, CleanPath) {
  const std::pair<const char*, const char*> cases[] = {
      {"abc", "abc"},
      {"abc/def", "abc/def"},
      {"a/b/c", "a/b/c"},
      {".", "."},
      {"..", ".."},
      {"../..", "../.."},
      {"../../abc", "../../abc"},
      {"/abc", "/abc"},
      {"/", "/"},
      {"", "."},
      {"abc/", "abc"},
      {"abc/def/", "abc/def"},
      {"./", "."},
      {"../", ".."},
      {"../../", "../.."},
      {"/abc/", "/abc"},
      {"abc//def//ghi", "abc/def/ghi"},
      {"abc//", "abc"},
      {"abc/./def", "abc/def"},
      {"/./abc/def", "/abc/def"},
      {"abc/.", "abc"},
      {"abc/def/ghi/../jkl", "abc/def/jkl"},
      {"abc/def/../ghi/../jkl", "abc/jkl"},
      {"abc/def/..", "abc"},
      {"abc/def/../..", "."},
      {"/abc/def/../..", "/"},
      {"abc/def/../../..", ".."},
      {"/abc/def/../../..", "/"},
      {"abc/def/../../../ghi/jkl/../../../mno", "../../mno"},
      {"/../abc", "/abc"},
      {"a/../b:/../../c", "../c"},
      {"abc/./../def", "def"},
      {"abc//./../def", "def"},
      {"abc/../../././../def", "../../def"},
      {"//abc", "/abc"},
      {"///abc", "/abc"},
      {"//abc//", "/abc"}};
  for (const auto& [path, clean] : cases) {
    EXPECT_EQ(clean_path(path), clean) << path;
    EXPECT_EQ(clean_path(clean), clean);
  }
}

TEST(GoText, DirAndJoin) {
  EXPECT_EQ(dir_of(""), ".");
  EXPECT_EQ(dir_of("/foo"), "/");
  EXPECT_EQ(dir_of("x/"), "x");
  EXPECT_EQ(dir_of("a/b/.x"), "a/b");
  EXPECT_EQ(dir_of("////foo"), "/");
  EXPECT_EQ(join_path("a", "b"), "a/b");
  EXPECT_EQ(join_path("a", ""), "a");
  EXPECT_EQ(join_path("", "b"), "b");
  EXPECT_EQ(join_path("", ""), "");
  EXPECT_EQ(join_path("/", "../a"), "/a");
  EXPECT_EQ(join_path(".", "/etc"), "etc");
}

TEST(GoText, TrimSpace) {
  EXPECT_EQ(trim_space(" \t\v\r\f\n\xc2\x85\xc2\xa0\xe2\x80\x80\xe3\x80\x80 a b \xe2\x80\xa8"),
            "a b");
  EXPECT_EQ(trim_space("\x80 \x80"), "\x80 \x80");
  EXPECT_EQ(trim_space(" \xe2\x80"), "\xe2\x80");
  EXPECT_EQ(trim_space("   "), "");
  EXPECT_EQ(trim_space(""), "");
}

TEST(GoText, DecodeRune) {
  auto is = [](std::string_view text, uint32_t value, uint32_t size) {
    Rune rune = decode_rune(text);
    EXPECT_EQ(rune.value, value) << text;
    EXPECT_EQ(rune.size, size) << text;
  };
  is("a", 'a', 1);
  is("\xc3\xa9x", 0xe9, 2);
  is("\xe2\x98\xba", 0x263a, 3);
  is("\xf4\x8f\xbf\xbf", 0x10ffff, 4);
  is("\xf4\x90\x80\x80", kRuneError, 1);  // beyond Unicode
  is("\xed\xa0\x80", kRuneError, 1);      // a surrogate
  is("\xc0\x80", kRuneError, 1);          // overlong
  is("\xe0\x80\x80", kRuneError, 1);
  is("\xe2\x98", kRuneError, 1);  // cut
  is("\xff", kRuneError, 1);
  is("\xef\xbf\xbd", kRuneError, 3);  // itself
  EXPECT_EQ(to_valid_utf8("a\xff\xe2\x98z"), "a\xef\xbf\xbd\xef\xbf\xbd\xef\xbf\xbdz");
}

TEST(GoText, GlobMatch) {
  EXPECT_EQ(glob_match("a*", "ab/c"), GlobResult::kNoMatch);
  EXPECT_EQ(glob_match("a*/b", "abc/b"), GlobResult::kMatch);
  EXPECT_EQ(glob_match("a*b*c*d*e*/f", "axbxcxdxexxx/fff"), GlobResult::kNoMatch);
  EXPECT_EQ(glob_match("a*b?c*x", "abxbbxdbxebxczzx"), GlobResult::kMatch);
  EXPECT_EQ(glob_match("a?b",
                       "a\xe2\x98\xba"
                       "b"),
            GlobResult::kMatch);
  EXPECT_EQ(glob_match("[\\]a]", "]"), GlobResult::kMatch);
  EXPECT_EQ(glob_match("[]a]", "]"), GlobResult::kBadPattern);
  EXPECT_EQ(glob_match("[a-b-c]", "a"), GlobResult::kBadPattern);
  EXPECT_EQ(glob_match("a[", "ab"), GlobResult::kBadPattern);
  EXPECT_EQ(glob_match("\\", "a"), GlobResult::kBadPattern);
  EXPECT_EQ(glob_match("", ""), GlobResult::kMatch);
  EXPECT_EQ(glob_match("", "a"), GlobResult::kNoMatch);
}

}  // namespace
}  // namespace depot::filesync

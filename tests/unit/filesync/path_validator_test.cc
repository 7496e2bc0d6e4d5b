#include "filesync/path_validator.h"

#include <gtest/gtest.h>

#include <random>
#include <set>

namespace depot::filesync {
namespace {

// Paths ending in '/' are directories. True if all are taken.
bool valid(std::vector<std::string> paths) {
  PathValidator validator;
  for (auto& path : paths) {
    Stat stat;
    if (path.size() > 1 && path.back() == '/') {
      path.pop_back();
      stat.mode = go_mode::kDir;
    }
    stat.path = path;
    if (!validator.check(stat).ok()) return false;
  }
  return true;
}

// fsutil's own cases.
TEST(PathValidator, Order) {
  EXPECT_TRUE(valid({"foo", "foo2"}));
  EXPECT_FALSE(valid({"foo", "foo2", "bar"}));
  EXPECT_FALSE(valid({"foo", "foo2", "foo2"}));
  EXPECT_FALSE(valid({"foo", "foo2", "foo2/"}));
  EXPECT_FALSE(valid({"foo", "foo2/", "foo2"}));
  EXPECT_FALSE(valid({"bar", "foo/baz"}));
  EXPECT_FALSE(valid({"bar", "bar/baz"}));
  EXPECT_FALSE(valid({"foo/bar"}));
  EXPECT_TRUE(valid({"foo/", "foo/bar"}));
  EXPECT_TRUE(valid({"foo/", "foo/bar", "foo/bay/", "foo/bay/aa", "foo/bay/ab/", "foo/bay/abb/",
                     "foo/bay/abb/a/", "foo/bay/ba", "foo/baz"}));
  EXPECT_FALSE(valid({"foo/", "foo/bar", "foo/bay/", "foo/bay/aa", "foo/bay/ab/", "foo/bay/ba",
                      "foo/bay/", "foo/baz"}));
  EXPECT_FALSE(valid({"foo/", "foo/bar", "foo/bay/", "foo/bay/aa", "foo/bay/ab/", "foo/bar"}));
  EXPECT_FALSE(valid({"foo/", "foo/a/", "foo/a/foo/", "foo/a/b/foo/", "foo/a/b/c/foo/"}));
  EXPECT_TRUE(valid({"foo/", "foo/a/", "foo.2/"}));
  EXPECT_FALSE(valid({"foo.a/", "foo/a/a/"}));
  EXPECT_FALSE(valid({"foo/", "foo./", "foo/"}));
}

TEST(PathValidator, Paths) {
  for (std::string path : {"", ".", "..", "/", "/a", "../a", "a/", "a//b", "./a", "a/../b", "a/..",
                           "a/./b", "../.."}) {
    PathValidator validator;
    Stat dir;
    dir.path = "a";
    dir.mode = go_mode::kDir;
    ASSERT_TRUE(validator.check(dir).ok());
    Stat stat;
    stat.path = path;
    EXPECT_FALSE(validator.check(stat).ok()) << path;
  }
}

TEST(PathValidator, Links) {
  auto check = [](const char* target, uint32_t mode) {
    PathValidator validator;
    Stat first;
    first.path = "a";
    EXPECT_TRUE(validator.check(first).ok());
    first.path = "b";
    first.mode = go_mode::kDir;
    EXPECT_TRUE(validator.check(first).ok());
    Stat link;
    link.path = "c";
    link.linkname = target;
    link.mode = mode;
    return validator.check(link).ok();
  };
  EXPECT_TRUE(check("a", 0644));
  EXPECT_FALSE(check("b", 0644));  // a directory
  EXPECT_FALSE(check("c", 0644));  // itself
  EXPECT_FALSE(check("../a", 0644));
  EXPECT_FALSE(check("/etc/passwd", 0644));
  EXPECT_TRUE(check("/etc/passwd", go_mode::kSymlink | 0777));
}

TEST(PathValidator, ComparePaths) {
  EXPECT_LT(compare_paths("foo", "foo/bar"), 0);
  EXPECT_LT(compare_paths("foo/bar", "foo-bar"), 0);
  EXPECT_LT(compare_paths("foo-bar", "foo.txt"), 0);
  EXPECT_LT(compare_paths("a/\x01", "a\x01"), 0);
  EXPECT_LT(compare_paths("a", "\xff"), 0);
  EXPECT_EQ(compare_paths("a/b", "a/b"), 0);
  EXPECT_GT(compare_paths("b", "a/b"), 0);
}

TEST(HashSet, HasWhatWasPutInAndNothingElse) {
  std::mt19937_64 random(20261130);
  for (bool asked_on_the_way : {true, false}) {
    HashSet set;
    std::set<uint64_t> known;
    for (int i = 0; i < 100000; ++i) {
      // Many that are alike in most of their bits, or known.
      uint64_t hash = i % 3 == 0 ? random() : static_cast<uint64_t>(i) << (i % 2 == 0 ? 40 : 3);
      if (hash == 0) hash = 2;
      if (asked_on_the_way) {
        EXPECT_EQ(set.contains(hash), known.contains(hash));
      }
      set.insert(hash);
      set.insert(hash);
      known.insert(hash);
    }
    for (uint64_t hash : known) ASSERT_TRUE(set.contains(hash));
    for (int i = 0; i < 100000; ++i) {
      uint64_t hash = random();
      ASSERT_EQ(set.contains(hash), known.contains(hash));
    }
    EXPECT_FALSE(set.contains(0));
    set.insert(0);
    EXPECT_TRUE(set.contains(0));
  }
}

TEST(HashSet, OfNothingHasNothing) {
  HashSet set;
  EXPECT_FALSE(set.contains(0));
  EXPECT_FALSE(set.contains(1));
}

}  // namespace
}  // namespace depot::filesync

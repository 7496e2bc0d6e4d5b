#include "filesync/walker.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/xattr.h>

#include <functional>
#include <map>
#include <thread>

#include "temp_tree.h"

namespace depot::filesync {
namespace {

using testing::ElementsAre;

struct Entry {
  std::string path;
  uint32_t mode;
  std::string linkname;
  Xattrs xattrs;
};

struct Sink final : EntrySink {
  bool add(const StatView& stat) override {
    entries.push_back({std::string(stat.path), stat.mode, std::string(stat.linkname),
                       Xattrs(stat.xattrs.begin(), stat.xattrs.end())});
    return !on_add || on_add(entries.back().path);
  }
  bool wanted() const override { return --directories_left >= 0; }

  std::vector<std::string> paths() const {
    std::vector<std::string> paths;
    for (const auto& entry : entries) paths.push_back(entry.path);
    return paths;
  }
  std::vector<Entry> entries;
  std::function<bool(const std::string&)> on_add;
  mutable int directories_left = 1 << 20;
};

base::Status walk(const std::string& path, Sink* sink, const Filter& filter = {},
                  XattrReader::Way way = XattrReader::Way::kAt) {
  DEPOT_ASSIGN(RootDir root, RootDir::open(path));
  DEPOT_ASSIGN(EntryFilter entries, EntryFilter::create(filter, &root));
  base::Status status;
  // A thread of its own: it may come to have its own working directory.
  std::thread([&] {
    Walker::Options options;
    options.xattr_way = way;
    status = Walker(root, entries, options, *sink).run();
  }).join();
  return status;
}

std::vector<std::string> walked(const TempTree& tree, const Filter& filter = {}) {
  Sink sink;
  base::Status status = walk(tree.root(), &sink, filter);
  EXPECT_TRUE(status.ok()) << status.message();
  return sink.paths();
}

TEST(Walker, Order) {
  TempTree tree;
  for (const char* name : {"foo/bar", "foo-bar", "foo.txt", "foo/a/x", "\xff", "B", "a"})
    tree.file(name);
  EXPECT_THAT(walked(tree), ElementsAre("B", "a", "foo", "foo/a", "foo/a/x", "foo/bar", "foo-bar",
                                        "foo.txt", "\xff"));
}

TEST(Walker, ParentsComeWithTheFirstThatIsKept) {
  TempTree tree;
  for (const char* name : {"a/b/c", "a/b/d", "a/x", "e/f"}) tree.file(name);
  EXPECT_THAT(walked(tree, {{}, {"*", "!a/b/c"}, {}}), ElementsAre("a", "a/b", "a/b/c"));
  EXPECT_THAT(walked(tree, {{"a/b/*"}, {"**/d"}, {}}), ElementsAre("a", "a/b", "a/b/c"));
}

TEST(Walker, LinksPointToWhatWasSent) {
  TempTree tree;
  tree.file("a", "x");
  for (const char* name : {"b", "c"})
    std::filesystem::create_hard_link(tree.path("a"), tree.path(name));
  Sink all;
  ASSERT_TRUE(walk(tree.root(), &all).ok());
  EXPECT_EQ(all.entries[0].linkname, "");
  EXPECT_EQ(all.entries[1].linkname, "a");
  EXPECT_EQ(all.entries[2].linkname, "a");
  Sink some;
  ASSERT_TRUE(walk(tree.root(), &some, {{}, {"a"}, {}}).ok());
  EXPECT_EQ(some.entries[0].linkname, "");
  EXPECT_EQ(some.entries[1].linkname, "b");
}

TEST(Walker, DeepTreesNeedFewDescriptors) {
  TempTree tree;
  std::string path;
  std::vector<std::string> expected;
  for (int i = 0; i < 200; ++i) {
    path += path.empty() ? "d" : "/d";
    expected.push_back(path);
  }
  tree.file(path + "/file");
  expected.push_back(path + "/file");
  // On the way back up the directories that were closed meanwhile are opened again.
  for (int i = 199; i >= 0; i -= 10) {
    std::string z = expected[static_cast<size_t>(i)] + "/z";
    tree.file(z);
    expected.push_back(z);
  }
  EXPECT_EQ(walked(tree), expected);
  EXPECT_EQ(walked(tree, {{}, {"**", "!**/file", "!**/z"}, {}}), expected);
}

TEST(Walker, PathsHaveABound) {
  TempTree tree;
  std::string name(200, 'n');
  int dir = ::open(tree.root().c_str(), O_RDONLY | O_DIRECTORY);
  for (int i = 0; i < 25; ++i) {
    ASSERT_EQ(::mkdirat(dir, name.c_str(), 0755), 0);
    int next = ::openat(dir, name.c_str(), O_RDONLY | O_DIRECTORY);
    ::close(dir);
    dir = next;
  }
  ::close(dir);
  Sink sink;
  base::Status status = walk(tree.root(), &sink);
  EXPECT_EQ(status.code(), base::Code::kInvalidArgument);
  EXPECT_EQ(sink.entries.size(), 20u);
}

TEST(Walker, EveryWayFindsTheSameAttributes) {
  TempTree tree;
  tree.file("dir/file");
  tree.file("file");
  tree.symlink("file", "link");
  for (const char* name : {"dir", "dir/file", "file"})
    ::setxattr(tree.path(name).c_str(), "user.name", name, strlen(name), 0);
  Sink sinks[3];
  using Way = XattrReader::Way;
  ASSERT_TRUE(walk(tree.root(), &sinks[0], {}, Way::kAt).ok());
  ASSERT_TRUE(walk(tree.root(), &sinks[1], {}, Way::kOwnCwd).ok());
  ASSERT_TRUE(walk(tree.root(), &sinks[2], {}, Way::kPath).ok());
  for (const auto& sink : sinks) {
    ASSERT_EQ(sink.entries.size(), 4u);
    for (const auto& entry : sink.entries) {
      char value[64];
      ssize_t size = ::lgetxattr(tree.path(entry.path).c_str(), "user.name", value, sizeof value);
      std::string found;
      for (const auto& [key, text] : entry.xattrs)
        if (key == "user.name") found = text;
      EXPECT_EQ(found, std::string(value, size < 0 ? 0 : static_cast<size_t>(size)));
    }
  }
}

// The first question offers less room than these need.
TEST(Walker, AttributesOfAnySize) {
  TempTree tree;
  std::string large(2000, 'v');
  tree.file("large");
  tree.file("many");
  ASSERT_EQ(::setxattr(tree.path("large").c_str(), "user.large", large.data(), large.size(), 0), 0);
  for (int i = 0; i < 10; ++i) {
    std::string key = "user." + std::string(100, 'k') + std::to_string(i);
    ASSERT_EQ(::setxattr(tree.path("many").c_str(), key.c_str(), "x", 1, 0), 0);
  }
  Sink sink;
  ASSERT_TRUE(walk(tree.root(), &sink).ok());
  ASSERT_EQ(sink.entries.size(), 2u);
  auto values = [&](size_t entry) {
    std::map<std::string, std::string> found;
    for (const auto& [key, value] : sink.entries[entry].xattrs)
      if (key.starts_with("user.")) found.emplace(key, value);
    return found;
  };
  EXPECT_EQ(values(0)["user.large"], large);
  EXPECT_EQ(values(1).size(), 10u);
}

TEST(Walker, WhatVanishesIsLeftOut) {
  TempTree tree;
  for (const char* name : {"a", "b", "c/x", "d/x", "e/x", "f/x", "g"}) tree.file(name);
  Sink sink;
  sink.on_add = [&](const std::string& path) {
    if (path == "a") {
      tree.remove("b");
      tree.remove("c");
    }
    if (path == "d") tree.remove("d");
    if (path == "e") {
      tree.remove("e");
      tree.symlink("/", "e");  // must not be walked
    }
    if (path == "f") {
      tree.remove("f");
      tree.file("f");
    }
    return true;
  };
  base::Status status = walk(tree.root(), &sink);
  EXPECT_TRUE(status.ok()) << status.message();
  EXPECT_THAT(sink.paths(), ElementsAre("a", "d", "e", "f", "g"));
}

TEST(Walker, EndsWhenTheSinkSaysSo) {
  TempTree tree;
  for (const char* name : {"a/b/c/d", "e"}) tree.file(name);
  Sink full;
  full.on_add = [](const std::string& path) { return path != "a/b"; };
  EXPECT_EQ(walk(tree.root(), &full).code(), base::Code::kCancelled);
  EXPECT_THAT(full.paths(), ElementsAre("a", "a/b"));
  Sink unwanted;
  unwanted.directories_left = 2;
  EXPECT_EQ(walk(tree.root(), &unwanted, {{}, {"**", "!**/none"}, {}}).code(),
            base::Code::kCancelled);
}

// fsutil's own cases.
TEST(Walker, UnreadableDirectories) {
  TempTree tree;
  tree.dir("foo/bar");
  tree.chmod("foo/bar", 0);
  auto code = [&](const Filter& filter) {
    Sink sink;
    AsNobody nobody;
    return walk(tree.root(), &sink, filter).code();
  };
  EXPECT_EQ(code({}), base::Code::kPermissionDenied);
  EXPECT_EQ(code({{}, {"**/bar"}, {}}), base::Code::kOk);
  EXPECT_EQ(code({{}, {"**/bar", "!foo/bar/baz"}, {}}), base::Code::kOk);
  EXPECT_EQ(code({{}, {"**/bar", "!foo/bar"}, {}}), base::Code::kPermissionDenied);
  EXPECT_EQ(code({{"foo", "!**/bar"}, {}, {}}), base::Code::kOk);
  tree.chmod("foo/bar", 0755);
}

}  // namespace
}  // namespace depot::filesync

#include "filesync/virtual_tree.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include <cerrno>
#include <thread>

#include "temp_tree.h"

namespace depot::filesync {
namespace {

using base::Code;
using base::Status;
using testing::ElementsAre;
using testing::HasSubstr;

VirtualFile text(std::string bytes, uint32_t mode = 0644) {
  VirtualFile file;
  file.bytes = std::move(bytes);
  file.mode = mode;
  return file;
}

struct Sink final : EntrySink {
  bool add(const StatView& stat) override {
    paths.emplace_back(stat.path);
    Stat copy;
    copy.path = stat.path;
    copy.mode = stat.mode;
    copy.size = stat.size;
    copy.mod_time = stat.mod_time;
    copy.linkname = stat.linkname;
    stats.push_back(copy);
    return true;
  }
  const Stat& at(const std::string& path) const {
    for (const auto& stat : stats)
      if (stat.path == path) return stat;
    ADD_FAILURE() << "no entry " << path;
    return stats.front();
  }
  std::vector<std::string> paths;
  std::vector<Stat> stats;
};

// `dir` empty: no directory.
Status walk(const std::string& dir, const VirtualTree& files, Sink* sink,
            const Filter& filter = {}) {
  std::optional<RootDir> root;
  TreeView tree{nullptr, &files};
  if (!dir.empty()) {
    DEPOT_ASSIGN(root, RootDir::open(dir));
    tree.root = &*root;
  }
  DEPOT_ASSIGN(EntryFilter entries, EntryFilter::create(filter, tree.root, &files));
  Status status;
  std::thread([&] { status = walk_tree(tree, entries, true, *sink); }).join();
  return status;
}

Sink walked(const std::string& dir, const VirtualTree& files, const Filter& filter = {}) {
  Sink sink;
  Status status = walk(dir, files, &sink, filter);
  EXPECT_TRUE(status.ok()) << status.message();
  return sink;
}

VirtualTree tree_of(std::initializer_list<const char*> paths) {
  VirtualTree tree;
  for (const char* path : paths) EXPECT_TRUE(tree.add(path, text(path)).ok()) << path;
  return tree;
}

TEST(VirtualTree, RefusesWhatCannotBe) {
  VirtualTree tree = tree_of({"a/b", "c"});
  const std::pair<std::string, const char*> table[] = {
      {"", "needs a path"},
      {"/etc/passwd", "absolute"},
      {"..", "'..'"},
      {"../x", "'..'"},
      {"a/../../x", "'..'"},
      {"x/..", "'..'"},
      {std::string("x\0y", 3), "NUL"},
      {"x/", "directory"},
      {".", "the context itself"},
      {"./", "directory"},
      {"\xff", "UTF-8"},
      {std::string(256, 'x'), "255"},
      {"a/b", "twice"},
      {"./a//b", "twice"},
      {"a", "files below it"},
      {"c/d", "below the file c"},
      {"c/d/e", "below the file c"},
  };
  for (const auto& [path, why] : table) {
    Status status = tree.add(path, text("x"));
    EXPECT_EQ(status.code(), Code::kInvalidArgument) << path;
    EXPECT_THAT(status.message(), HasSubstr(why)) << path;
  }
  EXPECT_EQ(tree.add("mode", text("x", 010000)).code(), Code::kInvalidArgument);
  std::string deep;
  for (int i = 0; i < 1024; ++i) deep += "dir/";
  EXPECT_EQ(tree.add(deep + "x", text("x")).code(), Code::kInvalidArgument);
  EXPECT_EQ(tree.nodes().size(), 3u) << "what was refused left nothing";
}

TEST(VirtualTree, Alone) {
  VirtualTree files = tree_of({"foo/bar", "foo-bar", "foo.txt", "foo/a/x", "./B"});
  ASSERT_TRUE(files.add("run", text("#!", 04755)).ok());
  Sink sink = walked("", files);
  EXPECT_THAT(sink.paths,
              ElementsAre("B", "foo", "foo/a", "foo/a/x", "foo/bar", "foo-bar", "foo.txt", "run"));
  EXPECT_EQ(sink.at("foo/a").mode, go_mode::kDir | 0755);
  EXPECT_EQ(sink.at("run").mode, go_mode::kSetuid | 0755);
  EXPECT_EQ(sink.at("foo/bar").size, 7);
  EXPECT_THAT(walked("", VirtualTree()).paths, ElementsAre());
}

TEST(VirtualTree, TheTimeTellsTheContent) {
  VirtualTree files;
  ASSERT_TRUE(files.add("a", text("one")).ok());
  ASSERT_TRUE(files.add("b", text("two")).ok());
  ASSERT_TRUE(files.add("c", text("one")).ok());
  Sink sink = walked("", files);
  EXPECT_NE(sink.at("a").mod_time, sink.at("b").mod_time);
  EXPECT_EQ(sink.at("a").mod_time, sink.at("c").mod_time);
  EXPECT_EQ(sink.at("a").mod_time / 1000000000, 315532800);
  EXPECT_EQ(sink.at("b").mod_time / 1000000000, 315532800);
}

TEST(VirtualTree, AContentThatIsReadHasNoTimeOfItsOwn) {
  VirtualTree files;
  VirtualFile file;
  file.read = [](uint64_t, std::span<uint8_t>) { return base::Result<size_t>(size_t{0}); };
  file.size = 7;
  ASSERT_TRUE(files.add("a", file).ok());
  Sink first = walked("", files);
  EXPECT_EQ(first.at("a").size, 7);
  EXPECT_EQ(first.at("a").mod_time / 1000000000, 315532800);
  int64_t before = first.at("a").mod_time;
  EXPECT_NE(walked("", files).at("a").mod_time, before);
}

TEST(VirtualTree, OverADirectory) {
  TempTree dir;
  for (const char* name : {"a/real", "a/same", "b", "d/x", "d/y/z", "z"}) dir.file(name, "real");
  dir.chmod("a", 0700);
  dir.symlink("a", "link");
  dir.symlink("a", "s");
  VirtualTree files = tree_of({"a/given", "a/same", "c/new", "d", "link", "s/below"});
  Sink sink = walked(dir.root(), files);
  EXPECT_THAT(sink.paths, ElementsAre("a", "a/given", "a/real", "a/same", "b", "c", "c/new", "d",
                                      "link", "s", "s/below", "z"));
  EXPECT_EQ(sink.at("a").mode, go_mode::kDir | 0700) << "the directory's own";
  EXPECT_EQ(sink.at("a/same").size, 6) << "the one given";
  EXPECT_EQ(sink.at("a/real").size, 4);
  EXPECT_EQ(sink.at("d").mode, 0644u) << "and nothing below it";
  EXPECT_EQ(sink.at("link").linkname, "");
  EXPECT_EQ(sink.at("s").mode, go_mode::kDir | 0755) << "not the symlink";
}

TEST(VirtualTree, AHiddenHardLinkIsNobodysTarget) {
  TempTree dir;
  dir.file("a", "linked");
  ASSERT_EQ(::link(dir.path("a").c_str(), dir.path("b").c_str()), 0);
  ASSERT_EQ(::link(dir.path("a").c_str(), dir.path("c").c_str()), 0);
  VirtualTree files = tree_of({"a"});
  Sink sink = walked(dir.root(), files);
  EXPECT_EQ(sink.at("b").linkname, "");
  EXPECT_EQ(sink.at("c").linkname, "b");
}

TEST(VirtualTree, Filters) {
  TempTree dir;
  for (const char* name : {"a/real.txt", "node/x", "keep/real", "out/y"}) dir.file(name);
  dir.chmod("out", 0711);
  VirtualTree files =
      tree_of({"a/given.txt", "a/given.bin", "node/deep/y", "keep/given", "out/given"});
  Filter filter;
  filter.exclude = {"node", "*/*.bin", "out", "!out/given"};
  Sink sink = walked(dir.root(), files, filter);
  EXPECT_THAT(sink.paths, ElementsAre("a", "a/given.txt", "a/real.txt", "keep", "keep/given",
                                      "keep/real", "out", "out/given"));
  EXPECT_EQ(sink.at("out").mode, go_mode::kDir | 0711) << "a parent that the walk did not send";
  filter = {};
  filter.include = {"a/given.txt", "keep/real", "node/deep"};
  EXPECT_THAT(
      walked(dir.root(), files, filter).paths,
      ElementsAre("a", "a/given.txt", "keep", "keep/real", "node", "node/deep", "node/deep/y"));
  EXPECT_THAT(walked("", files, filter).paths,
              ElementsAre("a", "a/given.txt", "node", "node/deep", "node/deep/y"));
  filter = {};
  filter.exclude = {"[a-"};
  Sink none;
  EXPECT_EQ(walk("", files, &none, filter).code(), Code::kInvalidArgument);
}

TEST(VirtualTree, FollowedPathsMeetTheGivenFiles) {
  TempTree dir;
  dir.file("real/file");
  dir.symlink("real", "link");
  dir.symlink("real", "given");
  VirtualTree files = tree_of({"given/own"});
  Filter filter;
  filter.follow_paths = {"link/file", "given/own"};
  EXPECT_THAT(walked(dir.root(), files, filter).paths,
              ElementsAre("given", "given/own", "link", "real", "real/file"));
  filter.follow_paths = {"given/*", "no*/x"};
  EXPECT_THAT(walked("", files, filter).paths, ElementsAre("given", "given/own"));
}

}  // namespace
}  // namespace depot::filesync

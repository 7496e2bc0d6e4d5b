#include "localbuilder/tree.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>

#include "base/fd.h"
#include "temp_dir.h"

namespace depot::localbuilder {
namespace {

namespace fs = std::filesystem;
using base::Cancel;
using base::Code;

class TreeTest : public TempDirTest {
 protected:
  void SetUp() override {
    TempDirTest::SetUp();
    fs::create_directories(dir_ / "cache/a/b");
    parent_.reset(::open(dir_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  }
  void TearDown() override {
    parent_.reset();
    // fs::remove_all would need a descriptor for every level.
    EXPECT_EQ(::system(("rm -rf " + dir_.string()).c_str()), 0);
  }
  void file(const fs::path& name, size_t size) {
    std::ofstream(dir_ / name) << std::string(size, 'x');
  }
  // Directories in one another below `name`, which no path reaches.
  void deep(const std::string& name, int levels) {
    base::UniqueFd at(::openat(parent_.get(), name.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
    for (int i = 0; i < levels; ++i) {
      ASSERT_EQ(::mkdirat(at.get(), "d", 0755), 0);
      at.reset(::openat(at.get(), "d", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      base::UniqueFd made(::openat(at.get(), "f", O_WRONLY | O_CREAT | O_CLOEXEC, 0644));
      ASSERT_TRUE(made.valid());
    }
  }
  DiskSize size(const std::string& name = "cache") {
    auto size = size_on_disk(parent_.get(), name, Cancel::never(), soon());
    EXPECT_TRUE(size.ok()) << size.status().message();
    return size.ok() ? *size : DiskSize();
  }
  base::Result<int64_t> remove(const std::string& name = "cache") {
    return remove_tree(parent_.get(), name, Cancel::never(), soon());
  }
  // What du says.
  int64_t judged(const std::string& name) {
    FILE* pipe = ::popen(("du -xs --block-size=1 " + (dir_ / name).string()).c_str(), "r");
    long long bytes = -1;
    EXPECT_EQ(std::fscanf(pipe, "%lld", &bytes), 1);
    ::pclose(pipe);
    return bytes;
  }

  base::UniqueFd parent_;
};

TEST_F(TreeTest, CountsAsDuDoes) {
  file("cache/one", 100'000);
  file("cache/a/two", 1);
  file("cache/a/b/none", 0);
  fs::create_hard_link(dir_ / "cache/one", dir_ / "cache/a/again");
  file("outside", 1'000'000);
  fs::create_symlink(dir_ / "outside", dir_ / "cache/link");
  fs::create_directory_symlink(dir_, dir_ / "cache/all");
  ASSERT_EQ(::truncate((dir_ / "cache/a/b/none").c_str(), 1 << 30), 0);  // all of it a hole
  DiskSize counted = size();
  EXPECT_EQ(counted.bytes, judged("cache"));
  EXPECT_TRUE(counted.complete);
  EXPECT_GT(counted.bytes, 100'000);
  EXPECT_LT(counted.bytes, 1'000'000);
}

TEST_F(TreeTest, WhatIsNotLookedAtIsSaid) {
  deep("cache", 120);
  EXPECT_FALSE(size().complete);
  Cancel cancel;
  cancel.trigger();
  for (int i = 0; i < 300; ++i) file("cache/a/" + std::to_string(i), 1);
  EXPECT_FALSE(size_on_disk(parent_.get(), "cache", cancel, soon())->complete);
  auto late = size_on_disk(parent_.get(), "cache", Cancel::never(),
                           std::chrono::steady_clock::time_point());
  EXPECT_FALSE(late->complete);
  EXPECT_LT(late->bytes, size("cache/a").bytes);
}

TEST_F(TreeTest, ASymlinkIsNoDirectory) {
  fs::create_directory_symlink(dir_ / "cache", dir_ / "link");
  auto linked = size_on_disk(parent_.get(), "link", Cancel::never(), soon());
  EXPECT_EQ(linked.status().code(), Code::kFailedPrecondition);
  auto none = size_on_disk(parent_.get(), "none", Cancel::never(), soon());
  EXPECT_EQ(none.status().code(), Code::kNotFound);
}

TEST_F(TreeTest, RemovesWhatIsItsOwnAlone) {
  file("outside", 1);
  fs::create_directories(dir_ / "other/folder");
  file("cache/one", 100'000);
  fs::create_hard_link(dir_ / "cache/one", dir_ / "cache/a/again");
  fs::create_symlink(dir_ / "outside", dir_ / "cache/a/link");
  fs::create_directory_symlink(dir_ / "other", dir_ / "cache/a/b/folder");
  fs::permissions(dir_ / "cache/a/b", fs::perms::none);
  int64_t before = size().bytes;
  auto freed = remove();
  ASSERT_TRUE(freed.ok()) << freed.status().message();
  EXPECT_EQ(*freed, before);
  EXPECT_FALSE(fs::exists(dir_ / "cache"));
  EXPECT_TRUE(fs::exists(dir_ / "outside") && fs::exists(dir_ / "other/folder"));
  EXPECT_EQ(*remove(), 0) << "what is gone already is no error";
}

TEST_F(TreeTest, RemovesASymlinkAndNotWhatItNames) {
  file("cache/kept", 1);
  fs::create_directory_symlink(dir_ / "cache", dir_ / "link");
  EXPECT_TRUE(remove("link").ok());
  EXPECT_FALSE(fs::is_symlink(dir_ / "link"));
  EXPECT_TRUE(fs::exists(dir_ / "cache/kept"));
}

TEST_F(TreeTest, DepthIsNoDanger) {
  deep("cache", 350);
  auto freed = remove();
  ASSERT_TRUE(freed.ok()) << freed.status().message();
  EXPECT_TRUE(fs::is_empty(dir_));
}

TEST_F(TreeTest, ARemovalThatIsBrokenOffCanBeTakenUp) {
  for (int i = 0; i < 300; ++i) file("cache/a/" + std::to_string(i), 1);
  Cancel cancel;
  cancel.trigger();
  EXPECT_EQ(remove_tree(parent_.get(), "cache", cancel, soon()).status().code(), Code::kCancelled);
  EXPECT_EQ(remove_tree(parent_.get(), "cache", Cancel::never(), {}).status().code(),
            Code::kDeadlineExceeded);
  EXPECT_TRUE(fs::exists(dir_ / "cache"));
  EXPECT_TRUE(remove().ok());
  EXPECT_FALSE(fs::exists(dir_ / "cache"));
}

}  // namespace
}  // namespace depot::localbuilder

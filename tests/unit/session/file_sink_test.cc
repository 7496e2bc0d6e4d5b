// Exports into files: whole or not at all, and never by the session's thread.
#include "session/file_sink.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <future>
#include <thread>

#include "base/fd.h"

namespace depot::session {
namespace {

namespace fs = std::filesystem;
using base::Code;
using base::Status;

class FileSinkTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "depot-sink-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    dir_ = name;
  }
  void TearDown() override {
    pool_.reset();  // waits for sinks that clean up behind themselves
    fs::remove_all(dir_);
  }

  std::shared_ptr<FileSink> sink(const fs::path& path) {
    auto made = FileSink::create(path.string(), pool_);
    EXPECT_TRUE(made.ok()) << made.status().message();
    return made.ok() ? *made : nullptr;
  }
  static bool write(FileSink& sink, const std::string& text) {
    return sink.write({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
  }
  static Status finish(FileSink& sink) {
    auto ended = std::make_shared<std::promise<Status>>();
    sink.finish([ended](Status status) { ended->set_value(std::move(status)); });
    return ended->get_future().get();
  }
  static std::string content(const fs::path& path) {
    std::ifstream in(path, std::ios::binary);
    return {std::istreambuf_iterator<char>(in), {}};
  }
  std::vector<std::string> listing() const {
    std::vector<std::string> names;
    for (const auto& entry : fs::recursive_directory_iterator(dir_))
      names.push_back(entry.path().lexically_relative(dir_).string());
    std::sort(names.begin(), names.end());
    return names;
  }

  fs::path dir_;
  std::shared_ptr<base::Pool> pool_ = std::make_shared<base::Pool>(2);
};

TEST_F(FileSinkTest, TheFileAppearsWhenItIsCommitted) {
  auto out = sink(dir_ / "a/b/out.tar");
  EXPECT_TRUE(listing().empty()) << "nothing is made before the export begins";
  ASSERT_TRUE(out->open({}).ok());
  std::string all;
  for (int i = 0; i < 1000; ++i) {
    all += std::to_string(i);
    write(*out, std::to_string(i));
  }
  ASSERT_TRUE(finish(*out).ok());
  EXPECT_FALSE(fs::exists(dir_ / "a/b/out.tar"));
  ASSERT_TRUE(out->commit().ok());
  EXPECT_TRUE(out->commit().ok()) << "twice does no harm";
  out = nullptr;
  EXPECT_EQ(content(dir_ / "a/b/out.tar"), all);
  EXPECT_THAT(listing(), testing::ElementsAre("a", "a/b", "a/b/out.tar"));
}

TEST_F(FileSinkTest, AnEmptyExportIsAnEmptyFile) {
  auto out = sink(dir_ / "out");
  ASSERT_TRUE(out->open({}).ok());
  ASSERT_TRUE(finish(*out).ok());
  ASSERT_TRUE(out->commit().ok());
  EXPECT_EQ(fs::file_size(dir_ / "out"), 0u);
}

TEST_F(FileSinkTest, WithoutCommitTheOldFileStaysAndNothingElse) {
  std::ofstream(dir_ / "out") << "old";
  for (bool abort : {true, false}) {
    auto out = sink(dir_ / "out");
    ASSERT_TRUE(out->open({}).ok());
    write(*out, "new");
    if (abort)
      out->abort();
    else
      ASSERT_TRUE(finish(*out).ok());
    out = nullptr;
    pool_ = std::make_shared<base::Pool>(2);  // what was queued is over
    EXPECT_THAT(listing(), testing::ElementsAre("out"));
    EXPECT_EQ(content(dir_ / "out"), "old");
  }
}

// "-v $PWD/out.tar:/out.tar": the file is there and can be written, but not replaced.
TEST_F(FileSinkTest, WritesIntoAFileThatIsMountedByItself) {
  ASSERT_EQ(::geteuid(), 0u) << "the suite runs as root";
  std::ofstream(dir_ / "host") << "old, and longer than what comes";
  std::ofstream(dir_ / "out") << "";
  std::thread([&] {  // the mount is this thread's alone
    ASSERT_EQ(::unshare(CLONE_NEWNS | CLONE_FS), 0);
    ASSERT_EQ(::mount("", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
    ASSERT_EQ(::mount((dir_ / "host").c_str(), (dir_ / "out").c_str(), nullptr, MS_BIND, nullptr),
              0);
    pool_ = std::make_shared<base::Pool>(2);  // its threads see the mount, too
    auto out = sink(dir_ / "out");
    ASSERT_TRUE(out->open({}).ok());
    write(*out, "new");
    ASSERT_TRUE(finish(*out).ok());
    EXPECT_TRUE(out->commit().ok()) << out->failure().message();
    out = nullptr;
    pool_ = nullptr;
  })
      .join();
  EXPECT_EQ(content(dir_ / "host"), "new");
  EXPECT_THAT(listing(), testing::UnorderedElementsAre("host", "out"));
}

TEST_F(FileSinkTest, CommitRefusesWhatDidNotArriveWhole) {
  auto out = sink(dir_ / "out");
  EXPECT_FALSE(out->complete());
  EXPECT_EQ(out->commit().code(), Code::kDataLoss) << "the daemon never sent it";
  ASSERT_TRUE(out->open({}).ok());
  write(*out, "half");
  EXPECT_EQ(out->commit().code(), Code::kDataLoss);
  EXPECT_EQ(out->open({}).code(), Code::kAlreadyExists);
}

TEST_F(FileSinkTest, ReplacesWhatALinkPointsAtAndNotTheLink) {
  fs::create_directory(dir_ / "real");
  std::ofstream(dir_ / "real/file") << "old";
  fs::create_symlink("real/file", dir_ / "link");
  auto out = sink(dir_ / "link");
  ASSERT_TRUE(out->open({}).ok());
  write(*out, "new");
  ASSERT_TRUE(finish(*out).ok());
  ASSERT_TRUE(out->commit().ok());
  EXPECT_TRUE(fs::is_symlink(dir_ / "link"));
  EXPECT_EQ(content(dir_ / "real/file"), "new");
}

TEST_F(FileSinkTest, RefusesDirectoriesBeforeTheBuild) {
  EXPECT_EQ(FileSink::create(dir_.string(), pool_).status().code(), Code::kInvalidArgument);
  EXPECT_FALSE(FileSink::create((dir_ / "x/").string(), pool_).ok());
  EXPECT_FALSE(FileSink::create("", pool_).ok());
}

TEST_F(FileSinkTest, SaysWhyItCannotBegin) {
  std::ofstream(dir_ / "file") << "x";
  auto out = sink(dir_ / "file/below");
  Status status = out->open({});
  EXPECT_FALSE(status.ok());
  EXPECT_NE(status.message().find("file/below"), std::string::npos);
  EXPECT_FALSE(out->failure().ok());
}

TEST_F(FileSinkTest, HoldsThePeerBackAndSaysWhenThereIsRoomAgain) {
  pool_ = std::make_shared<base::Pool>(1);
  std::promise<void> gate;
  pool_->add([future = gate.get_future().share()] { future.wait(); });
  std::promise<Status> ready;
  auto out = sink(dir_ / "out");
  ASSERT_TRUE(out->open([&](Status status) { ready.set_value(std::move(status)); }).ok());
  const std::string mebi(1 << 20, 'x');
  EXPECT_TRUE(write(*out, mebi));
  EXPECT_TRUE(write(*out, mebi));
  EXPECT_TRUE(write(*out, mebi));
  EXPECT_FALSE(write(*out, mebi)) << "4 MiB wait";
  EXPECT_FALSE(write(*out, mebi)) << "it takes the bytes nevertheless";
  gate.set_value();
  EXPECT_TRUE(ready.get_future().get().ok());
  ASSERT_TRUE(finish(*out).ok());
  ASSERT_TRUE(out->commit().ok());
  EXPECT_EQ(fs::file_size(dir_ / "out"), size_t{5 << 20});
}

// Needs root, as the suite's other real parts do.
TEST_F(FileSinkTest, AFullDiskIsToldAndLeavesNothing) {
  // In a name space of this thread's own: nothing stays mounted, however the test ends.
  ASSERT_EQ(::unshare(CLONE_NEWNS), 0) << std::strerror(errno);
  ASSERT_EQ(::mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr), 0);
  ASSERT_EQ(::mount("tmpfs", dir_.c_str(), "tmpfs", 0, "size=1m"), 0) << std::strerror(errno);
  {
    std::promise<Status> ready;
    auto out = sink(dir_ / "out");
    bool told = false;
    ASSERT_TRUE(out->open([&](Status status) {
                     if (!std::exchange(told, true)) ready.set_value(std::move(status));
                   })
                    .ok());
    for (int i = 0; i < 3; ++i) write(*out, std::string(1 << 20, 'x'));
    Status status = ready.get_future().get();
    EXPECT_EQ(status.code(), Code::kResourceExhausted);
    EXPECT_NE(status.message().find("No space left"), std::string::npos) << status.message();
    EXPECT_TRUE(write(*out, "more is dropped"));
    EXPECT_EQ(finish(*out).code(), Code::kResourceExhausted);
    EXPECT_EQ(out->commit().code(), Code::kResourceExhausted);
    EXPECT_EQ(out->failure().code(), Code::kResourceExhausted);
    out = nullptr;
    pool_ = nullptr;
    EXPECT_TRUE(listing().empty());
  }
  ASSERT_EQ(::umount(dir_.c_str()), 0);
}

TEST_F(FileSinkTest, WritesIntoAFifo) {
  fs::path path = dir_ / "fifo";
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  {
    auto out = sink(path);
    EXPECT_EQ(out->open({}).code(), Code::kFailedPrecondition) << "nobody reads";
  }
  base::UniqueFd reader(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
  auto out = sink(path);
  ASSERT_TRUE(out->open({}).ok());
  write(*out, "through");
  ASSERT_TRUE(finish(*out).ok());
  ASSERT_TRUE(out->commit().ok());
  char text[16] = {};
  EXPECT_EQ(::read(reader.get(), text, sizeof(text)), 7);
  EXPECT_STREQ(text, "through");
  EXPECT_TRUE(fs::is_fifo(path));
}

TEST_F(FileSinkTest, AReaderThatLeavesOrSleepsEndsNothingElse) {
  fs::path path = dir_ / "fifo";
  ASSERT_EQ(::mkfifo(path.c_str(), 0600), 0);
  for (bool leave : {true, false}) {
    base::UniqueFd reader(::open(path.c_str(), O_RDONLY | O_NONBLOCK | O_CLOEXEC));
    auto out = sink(path);
    ASSERT_TRUE(out->open({}).ok());
    if (leave) reader.reset();
    // More than a pipe takes: a sleeper's writer would wait for ever.
    write(*out, std::string(1 << 20, 'x'));
    if (leave) {
      Status status = finish(*out);  // and no SIGPIPE
      EXPECT_NE(status.message().find("Broken pipe"), std::string::npos) << status.message();
    } else {
      out->abort();
    }
    out = nullptr;
    pool_ = std::make_shared<base::Pool>(2);  // waits for the writer
  }
}

}  // namespace
}  // namespace depot::session

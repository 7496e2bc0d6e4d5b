#include "content/store.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <thread>

#include "layout_dir.h"

namespace depot::content {
namespace {

namespace fs = std::filesystem;
using base::Code;

class StoreTest : public LayoutTest {};

TEST_F(StoreTest, ABlobAppearsWhole) {
  auto writer = store_->write("ref", 0, "sha256");
  ASSERT_TRUE(writer.ok());
  ASSERT_TRUE((*writer)->write(bytes("hello ")).ok());
  auto hello = digest_of("hello world");
  EXPECT_FALSE(store_->has(hello, 0));
  ASSERT_TRUE((*writer)->write(bytes("world")).ok());
  EXPECT_EQ((*writer)->digest(), hello);
  EXPECT_EQ((*writer)->status().offset, 11);
  auto digest = (*writer)->commit(11, hello.text());
  ASSERT_TRUE(digest.ok()) << digest.status().message();
  EXPECT_EQ(*digest, hello);
  EXPECT_EQ(file(path_of(hello.text())), "hello world");
  EXPECT_EQ(left_in_ingest(), 0u);
  struct stat info {};
  ASSERT_EQ(::stat(path_of(hello.text()).c_str(), &info), 0);
  EXPECT_EQ(info.st_mode & 0333, 0u) << "blobs are read-only";
  EXPECT_EQ(store_->info(hello)->size, 11);
  EXPECT_EQ(*store_->read(hello, 100), "hello world");
  EXPECT_EQ((*writer)->write(bytes("more")).code(), Code::kFailedPrecondition);
}

TEST_F(StoreTest, WhatIsNotWhatItWasSaidToBeIsNotKept) {
  for (const auto& [total, expected] : {std::pair<int64_t, std::string>{3, ""},
                                        {0, digest_of("other").text()},
                                        {4, "sha512:" + std::string(128, '0')}}) {
    auto writer = store_->write("ref", 0, "sha256");
    ASSERT_TRUE(writer.ok()) << writer.status().message();
    ASSERT_TRUE((*writer)->write(bytes("four")).ok());
    EXPECT_EQ((*writer)->commit(total, expected).status().code(), Code::kFailedPrecondition);
  }
  EXPECT_EQ(left_in_ingest(), 0u);
  EXPECT_TRUE(store_->list()->empty());
}

TEST_F(StoreTest, AnAlgorithmMayBeToldAtTheEnd) {
  Hasher hasher("sha512");
  hasher.add(bytes("four"));
  auto writer = store_->write("ref", 0, "sha256");
  ASSERT_TRUE((*writer)->write(bytes("four")).ok());
  auto digest = (*writer)->commit(4, hasher.digest().text());
  ASSERT_TRUE(digest.ok()) << digest.status().message();
  EXPECT_EQ(file(path_of(digest->text())), "four");
}

TEST_F(StoreTest, OneWriterForARef) {
  auto first = store_->write("ref", 0, "sha256");
  ASSERT_TRUE(first.ok());
  EXPECT_EQ(store_->write("ref", 0, "sha256").status().code(), Code::kUnavailable);
  EXPECT_TRUE(store_->write("other", 0, "sha256").ok());
  first->reset();
  EXPECT_TRUE(store_->write("ref", 0, "sha256").ok());
  EXPECT_EQ(store_->write("", 0, "sha256").status().code(), Code::kInvalidArgument);
}

TEST_F(StoreTest, AnAbortedWriterWritesNoMore) {
  auto writer = store_->write("ref", 7, "sha256");
  ASSERT_EQ(store_->statuses().size(), 1u);
  EXPECT_EQ(store_->statuses()[0].ref, "ref");
  EXPECT_EQ(store_->statuses()[0].total, 7);
  EXPECT_TRUE(store_->abort("ref").ok());
  EXPECT_EQ(store_->abort("ref").code(), Code::kNotFound);
  EXPECT_EQ((*writer)->write(bytes("x")).code(), Code::kAborted);
  EXPECT_EQ((*writer)->commit(0, "").status().code(), Code::kAborted);
  auto second = store_->write("ref", 0, "sha256");
  EXPECT_TRUE(second.ok()) << "the ref is free again";
  writer->reset();
  EXPECT_EQ(store_->statuses().size(), 1u) << "the first one's end is not the second's";
}

TEST_F(StoreTest, FromTheStartAgain) {
  auto writer = store_->write("ref", 0, "sha256");
  ASSERT_TRUE((*writer)->write(bytes("wrong, and longer")).ok());
  ASSERT_TRUE((*writer)->restart().ok());
  EXPECT_EQ((*writer)->status().offset, 0);
  ASSERT_TRUE((*writer)->write(bytes("right")).ok());
  auto digest = (*writer)->commit(5, digest_of("right").text());
  ASSERT_TRUE(digest.ok()) << digest.status().message();
  EXPECT_EQ(file(path_of(digest->text())), "right");
}

TEST_F(StoreTest, TwoProcessesMayWriteTheSame) {
  auto other = *Store::open(dir_, Store::Use::kWrite);
  auto mine = store_->write("ref", 0, "sha256");
  auto theirs = other->write("ref", 0, "sha256");
  ASSERT_TRUE(theirs.ok()) << theirs.status().message();
  ASSERT_TRUE((*mine)->write(bytes("same")).ok());
  ASSERT_TRUE((*theirs)->write(bytes("sa")).ok());
  EXPECT_TRUE((*mine)->commit(0, "").ok());
  ASSERT_TRUE((*theirs)->write(bytes("me")).ok());
  auto digest = (*theirs)->commit(4, digest_of("same").text());
  ASSERT_TRUE(digest.ok()) << digest.status().message();
  EXPECT_EQ(file(path_of(digest->text())), "same");
  EXPECT_EQ(left_in_ingest(), 0u);
}

TEST_F(StoreTest, WhatACrashLeftGoesAndWhatIsAliveStays) {
  auto ingest = fs::path(dir_) / "ingest";
  auto alive = store_->write("alive", 0, "sha256");
  ASSERT_TRUE((*alive)->write(bytes("alive")).ok());
  std::ofstream(ingest / "left-by-a-crash") << "half a blob";
  fs::create_directories(ingest / "another-client");
  ASSERT_EQ(left_in_ingest(), 3u);
  auto other = *Store::open(dir_, Store::Use::kWrite);
  auto writer = other->write("ref", 0, "sha256");
  ASSERT_TRUE(writer.ok());
  EXPECT_EQ(left_in_ingest(), 3u);
  EXPECT_FALSE(fs::exists(ingest / "left-by-a-crash"));
  EXPECT_TRUE(fs::exists(ingest / "another-client"));
  EXPECT_TRUE((*alive)->commit(5, digest_of("alive").text()).ok());
}

TEST_F(StoreTest, ABlobThatWasCutOffIsMended) {
  auto digest = put("a whole blob");
  fs::permissions(path_of(digest), fs::perms::owner_all);
  fs::resize_file(path_of(digest), 3);
  auto parsed = *Digest::parse(digest);
  EXPECT_TRUE(store_->has(parsed, 0));
  EXPECT_FALSE(store_->has(parsed, 12));
  auto read = store_->read(parsed, 100);
  ASSERT_FALSE(read.ok());
  EXPECT_EQ(read.status().code(), Code::kDataLoss);
  EXPECT_NE(read.status().message().find(digest), std::string::npos);
  EXPECT_EQ(put("a whole blob"), digest);
  EXPECT_EQ(*store_->read(parsed, 100), "a whole blob");
}

TEST_F(StoreTest, ReadsAreBounded) {
  auto digest = *Digest::parse(put("0123456789"));
  EXPECT_EQ(store_->read(digest, 9).status().code(), Code::kResourceExhausted);
  EXPECT_EQ(store_->read(digest_of("none"), 9).status().code(), Code::kNotFound);
}

TEST_F(StoreTest, WhatIsNoFileIsNoBlob) {
  auto digest = digest_of("x");
  fs::create_directories(path_of(digest.text()));
  EXPECT_EQ(store_->info(digest).status().code(), Code::kNotFound);
  EXPECT_EQ(store_->blob(digest).status().code(), Code::kNotFound);
  auto fifo = digest_of("y");
  ASSERT_EQ(::mkfifo(path_of(fifo.text()).c_str(), 0600), 0);
  EXPECT_EQ(store_->blob(fifo).status().code(), Code::kNotFound) << "and nobody waited for it";
}

TEST_F(StoreTest, ADirectoryThatIsMovedStaysTheOneThatWasMeant) {
  auto writer = store_->write("ref", 0, "sha256");
  auto moved = dir_ + "-moved";
  fs::rename(dir_, moved);
  fs::create_directories(dir_);
  ASSERT_TRUE((*writer)->write(bytes("x")).ok());
  auto digest = (*writer)->commit(0, "");
  ASSERT_TRUE(digest.ok());
  EXPECT_FALSE(fs::exists(fs::path(dir_) / "blobs"));
  EXPECT_TRUE(fs::exists(fs::path(moved) / "blobs/sha256" / digest->hex));
  fs::remove_all(moved);
}

TEST_F(StoreTest, AFileIsNoLayout) {
  std::ofstream(fs::path(dir_) / "file") << "x";
  EXPECT_FALSE(Store::open(dir_ + "/file", Store::Use::kRead).ok());
  EXPECT_FALSE(Store::open(dir_ + "/file", Store::Use::kWrite).ok());
  EXPECT_FALSE(Store::open(dir_ + "/file/below", Store::Use::kWrite).ok());
  EXPECT_EQ(Store::open(dir_ + "/none", Store::Use::kRead).status().code(), Code::kNotFound);
  EXPECT_FALSE(fs::exists(dir_ + "/none")) << "looking for one makes none";
}

TEST_F(StoreTest, NothingIsWrittenWhileACacheIsCleanedUp) {
  store_->guard_cache();
  {
    auto cleaner = FileLock::try_lock(store_->handle(), "cache.lock", /*shared=*/false);
    ASSERT_TRUE(cleaner.ok());
    EXPECT_EQ(store_->write("ref", 0, "sha256").status().code(), Code::kUnavailable);
  }
  ASSERT_TRUE(store_->write("ref", 0, "sha256").ok());
  auto lock = [&](bool shared) {
    return FileLock::try_lock(store_->handle(), "cache.lock", shared).status().code();
  };
  EXPECT_EQ(lock(false), Code::kUnavailable) << "nobody may clean up until the index is written";
  EXPECT_EQ(lock(true), Code::kOk) << "another build may write";
  store_->release();
  EXPECT_EQ(lock(false), Code::kOk);
  EXPECT_EQ(store_->write("late", 0, "sha256").status().code(), Code::kFailedPrecondition);
}

TEST_F(StoreTest, ManyAtOnce) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      auto own = *Store::open(dir_, Store::Use::kWrite);
      for (int i = 0; i < 20; ++i) {
        std::string text = "blob " + std::to_string(i);
        auto writer = own->write("ref", 0, "sha256");
        ASSERT_TRUE(writer.ok()) << t << ": " << writer.status().message();
        ASSERT_TRUE((*writer)->write(bytes(text)).ok());
        auto digest = (*writer)->commit(0, digest_of(text).text());
        ASSERT_TRUE(digest.ok()) << digest.status().message();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  auto all = *store_->list();
  EXPECT_EQ(all.size(), 20u);
  for (const auto& digest : all) EXPECT_TRUE(store_->read(digest, 100).ok());
  EXPECT_EQ(left_in_ingest(), 0u);
}

}  // namespace
}  // namespace depot::content

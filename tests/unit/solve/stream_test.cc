#include "solve/stream.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <filesystem>
#include <fstream>
#include <thread>

namespace depot::solve {
namespace {

namespace fs = std::filesystem;
using base::Code;
using base::Hop;
using base::Result;
using base::Status;
using testing::HasSubstr;

std::string header(const std::string& name, uint64_t size, char type = '0') {
  std::string block(kTarBlock, '\0');
  auto put = [&](size_t at, const std::string& text) { block.replace(at, text.size(), text); };
  char digits[16];
  put(0, name);
  put(100, "0000644");
  std::snprintf(digits, sizeof digits, "%011llo", static_cast<unsigned long long>(size));
  put(124, digits);
  put(148, "        ");
  block[156] = type;
  unsigned sum = 0;
  for (unsigned char c : block) sum += c;
  std::snprintf(digits, sizeof digits, "%06o", sum);
  put(148, std::string(digits, 7));
  return block;
}

std::string padded(std::string content) {
  content.resize((content.size() + kTarBlock - 1) / kTarBlock * kTarBlock);
  return content;
}

std::string entry(const std::string& name, const std::string& content, char type = '0') {
  return header(name, content.size(), type) + padded(content);
}

const std::string kEnd(2 * kTarBlock, '\0');

std::span<const uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

// In pieces of every size, with the same outcome.
Status check(const std::string& tar) {
  Status first;
  for (size_t piece : {size_t{1}, size_t{511}, size_t{512}, size_t{100000}}) {
    TarCheck check;
    Status status;
    for (size_t at = 0; at < tar.size() && status.ok(); at += piece)
      status = check.feed(bytes_of(std::string_view(tar).substr(at, piece)));
    if (status.ok()) status = check.finish();
    if (piece == 1) first = status;
    EXPECT_EQ(status.message(), first.message()) << piece;
  }
  return first;
}

TEST(TarCheck, LetsWholeOnesPass) {
  std::string sparse = header("s", 512, 'S');
  sparse[482] = 1;
  unsigned sum = 0;
  sparse.replace(148, 8, "        ");
  for (unsigned char c : sparse) sum += c;
  char digits[16];
  std::snprintf(digits, sizeof digits, "%06o", sum);
  sparse.replace(148, 7, std::string(digits, 7));
  const std::string table[] = {
      kEnd,
      entry("a", "content") + kEnd,
      entry("a", "content"),  // no end: readers take it
      entry("a", "") + entry("b", std::string(1024, 'x')) + kEnd + "trailing rubbish",
      entry("a", std::string(513, 'x')) + std::string(kTarBlock, '\0'),
      header("dir", 0, '5') + header("link", 77, '1') + header("link", 77, '2') + kEnd,
      entry("x", "18 size=1000000000\n", 'g') + entry("a", "b") + kEnd,
      entry("x", "12 size=600\n", 'x') + header("a", 3) + std::string(1024, 'y') + kEnd,
      entry("x", std::string(300, 'n'), 'L') + entry("a", "b") + kEnd,
      entry("x", "not a record", 'x') + entry("a", "b") + kEnd,
      sparse + std::string(kTarBlock, '\0') + std::string(kTarBlock, 'd') + kEnd,
  };
  for (const auto& tar : table) EXPECT_TRUE(check(tar).ok()) << check(tar).message();
}

TEST(TarCheck, SaysWhereOneLies) {
  const std::string whole = entry("first", "1") + entry("second", std::string(2000, 'x'));
  std::string far = header("a", 0);
  far.replace(124, 12, std::string(12, '9'));
  const std::pair<std::string, const char*> table[] = {
      {whole.substr(0, 3 * kTarBlock + 100), "inside second, of whose 2000 bytes 100 came"},
      {whole.substr(0, whole.size() - 1), "inside second, of whose 2000 bytes 2000 came"},
      {whole.substr(0, 2 * kTarBlock + 7), "inside the header behind first"},
      {entry("x", "14 path=long\n", 'x') + header("a", 9) + "123", "inside a, of whose 9"},
      {entry("x", "13 path=long\n", 'x') + header("a", 9) + "123", "inside long, of whose 9"},
      {header("big", 4096) + padded("little") + entry("next", "1") + kEnd, "inside big"},
      {header("small", 3) + padded(std::string(600, 'z')) + kEnd,
       "no entry begins at byte 1024, where the 3 bytes that small says it has end"},
      {"rubbish" + std::string(600, 'z'), "no entry begins at byte 0"},
      {std::string(kTarBlock, '\0') + entry("a", "b"), "data behind its end, at byte 512"},
  };
  for (const auto& [tar, why] : table) {
    Status status = check(tar);
    EXPECT_EQ(status.code(), Code::kDataLoss) << why;
    EXPECT_EQ(status.hop(), Hop::kLocal) << why;
    EXPECT_THAT(status.message(), HasSubstr(why));
  }
}

std::shared_ptr<Stream> of_text(std::string text, size_t piece = 7) {
  return Stream::of_function(
      [text, piece](uint64_t offset, std::span<uint8_t> out) -> Result<size_t> {
        size_t size = std::min({piece, out.size(), text.size() - static_cast<size_t>(offset)});
        std::memcpy(out.data(), text.data() + offset, size);
        return size;
      },
      "the test");
}

Result<std::string> read_all(Stream& stream) {
  std::string all;
  for (;;) {
    uint8_t buffer[300];
    DEPOT_ASSIGN(size_t got, stream.read(buffer));
    if (got == 0) return all;
    all.append(reinterpret_cast<char*>(buffer), got);
  }
}

TEST(Stream, KnowsAnArchiveByItsBeginning) {
  using namespace std::string_literals;
  const std::pair<std::string, Stream::Kind> table[] = {
      {"", Stream::Kind::kEmpty},
      {"FROM scratch\n", Stream::Kind::kText},
      {"BZ", Stream::Kind::kText},
      {"BZh91AY", Stream::Kind::kArchive},
      {"\x1f\x8b\x08rest", Stream::Kind::kArchive},
      {"\x1f\x8b\x09rest", Stream::Kind::kText},
      {"\xfd"
       "7zXZ\0rest"s,
       Stream::Kind::kArchive},
      {"\x28\xb5\x2f\xfdrest", Stream::Kind::kArchive},
      {"\x53\x2a\x4d\x18\x01\0\0\0"s, Stream::Kind::kArchive},
      {"\x53\x2a\x4d\x18\x01", Stream::Kind::kText},
      {entry("a", "b") + kEnd, Stream::Kind::kArchive},
      {header("a", 0).substr(0, 511), Stream::Kind::kText},
      {kEnd, Stream::Kind::kText},
  };
  for (const auto& [text, kind] : table) {
    auto stream = of_text(text);
    auto looked = stream->look({});
    ASSERT_TRUE(looked.ok());
    EXPECT_EQ(*looked, kind) << text.substr(0, 20);
    EXPECT_EQ(*stream->look({}), kind) << "and again";
    if (kind == Stream::Kind::kArchive) {
      auto all = read_all(*stream);
      ASSERT_TRUE(all.ok()) << all.status().message();
      EXPECT_EQ(*all, text);
      EXPECT_EQ(stream->look({}).status().code(), Code::kFailedPrecondition) << "it is gone";
    } else {
      EXPECT_EQ(*stream->text({}), text);
      EXPECT_EQ(*stream->text({}), text) << "and again";
    }
  }
}

TEST(Stream, WhatPythonPutsFirstHidesNoTar) {
  std::string tar = entry("x", "18 mtime=1.500000\n", 'x') + entry("a", "b") + kEnd;
  auto stream = of_text(tar, 4096);
  EXPECT_EQ(*stream->look({}), Stream::Kind::kArchive);
  EXPECT_EQ(*stream->look({}), Stream::Kind::kArchive);
  auto all = read_all(*stream);
  ASSERT_TRUE(all.ok()) << all.status().message();
  ASSERT_EQ(all->size(), tar.size() + kTarBlock);
  EXPECT_EQ(all->substr(kTarBlock), tar);
  EXPECT_TRUE(is_tar_header(bytes_of(*all)));
  EXPECT_EQ(all->substr(0, 3), std::string("./\0", 3));
  EXPECT_EQ((*all)[156], '5');
}

TEST(Stream, ATarThatLiesIsToldOnce) {
  auto stream = of_text(header("a", 5000) + std::string(2000, 'x'), 4096);
  ASSERT_EQ(*stream->look({}), Stream::Kind::kArchive);
  EXPECT_TRUE(stream->failure().ok());
  EXPECT_EQ(read_all(*stream).status().code(), Code::kDataLoss);
  EXPECT_THAT(stream->failure().message(), HasSubstr("of whose 5000 bytes 2000 came"));
}

TEST(Stream, AFunctionMayRefuse) {
  auto stream = Stream::of_function(
      [](uint64_t offset, std::span<uint8_t> out) -> Result<size_t> {
        if (offset > 2000) return Status(Code::kAborted, Hop::kCallback, "on purpose");
        std::memset(out.data(), 'B', out.size());
        if (offset == 0) std::memcpy(out.data(), "BZh", 3);
        return out.size();
      },
      "the test");
  ASSERT_EQ(*stream->look({}), Stream::Kind::kArchive);
  EXPECT_EQ(read_all(*stream).status().message(), "on purpose");
  EXPECT_EQ(stream->failure().hop(), Hop::kCallback);
}

class Pipes : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "depot-stream-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    dir_ = name;
    fifo_ = (dir_ / "fifo").string();
    ASSERT_EQ(::mkfifo(fifo_.c_str(), 0600), 0);
  }
  void TearDown() override { fs::remove_all(dir_); }

  fs::path dir_;
  std::string fifo_;
};

TEST_F(Pipes, AreWaitedFor) {
  auto stream = Stream::of_file(fifo_);
  EXPECT_EQ(stream->for_solve(stream), stream) << "there is one";
  std::string tar = entry("a", std::string(100000, 'x')) + kEnd;
  std::thread writer([&] { std::ofstream(fifo_) << tar; });
  EXPECT_EQ(*stream->look({}), Stream::Kind::kArchive);
  EXPECT_EQ(*read_all(*stream), tar);
  writer.join();
}

TEST_F(Pipes, ACancelAndTheClockEndAWait) {
  auto stream = Stream::of_file(fifo_);
  base::UniqueFd writer(::open(fifo_.c_str(), O_RDWR | O_CLOEXEC));
  EXPECT_EQ(stream->look({base::Cancel::never(), std::chrono::milliseconds(1)}).status().code(),
            Code::kDeadlineExceeded);
  ASSERT_EQ(::write(writer.get(), "FROM", 4), 4);
  base::Cancel cancel;
  std::thread other([&] { cancel.trigger(); });
  EXPECT_EQ(stream->look({cancel, {}}).status().code(), Code::kCancelled);
  other.join();
}

TEST_F(Pipes, AReadThatBlocksIsInterrupted) {
  auto stream = Stream::of_file(fifo_);
  base::UniqueFd writer(::open(fifo_.c_str(), O_RDWR | O_CLOEXEC));
  std::string head = "BZh" + std::string(2000, 'x');
  ASSERT_EQ(::write(writer.get(), head.data(), head.size()), static_cast<ssize_t>(head.size()));
  ASSERT_EQ(*stream->look({}), Stream::Kind::kArchive);
  stream->interrupt();  // nobody reads yet: nothing to interrupt
  uint8_t buffer[2003];
  ASSERT_TRUE(stream->read(buffer).ok());
  std::thread other([&] { stream->interrupt(); });
  Status status;
  while (status.ok()) status = stream->read(buffer).status();
  other.join();
  EXPECT_EQ(status.code(), Code::kCancelled);
  EXPECT_TRUE(stream->failure().ok()) << "nobody wanted it";
}

TEST_F(Pipes, AnInterruptBetweenBeginAndReadIsNotLost) {
  auto stream = Stream::of_file(fifo_);
  base::UniqueFd writer(::open(fifo_.c_str(), O_RDWR | O_CLOEXEC));
  // As much as look() reads: it needs no end, which would lose all of it if it came before the
  // reader.
  std::string head = "BZh" + std::string(2000, 'x');
  ASSERT_EQ(::write(writer.get(), head.data(), head.size()), static_cast<ssize_t>(head.size()));
  ASSERT_TRUE(stream->look({}).ok());
  stream->begin();
  stream->interrupt();
  uint8_t buffer[3];
  EXPECT_EQ(stream->read(buffer).status().code(), Code::kCancelled);
}

TEST_F(Pipes, ARegularFileIsReadAgainForEachSolve) {
  std::string path = (dir_ / "tar").string();
  std::ofstream(path) << entry("a", "b") << kEnd;
  auto named = Stream::of_file(path);
  for (int solve = 0; solve < 2; ++solve) {
    auto stream = named->for_solve(named);
    EXPECT_EQ(*stream->look({}), Stream::Kind::kArchive);
    EXPECT_TRUE(read_all(*stream).ok());
  }
  EXPECT_EQ(Stream::of_file((dir_ / "none").string())->look({}).status().code(), Code::kNotFound);
}

}  // namespace
}  // namespace depot::solve

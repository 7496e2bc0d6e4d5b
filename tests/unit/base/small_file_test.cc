#include "base/small_file.h"

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

namespace depot::base {
namespace {

class SmallFile : public testing::Test {
 protected:
  SmallFile() {
    std::string pattern = testing::TempDir() + "small-file-XXXXXX";
    folder_ = ::mkdtemp(pattern.data());
  }
  ~SmallFile() override { std::filesystem::remove_all(folder_); }
  std::string write(const std::string& text) {
    std::string path = folder_ + "/file";
    std::ofstream(path, std::ios::binary) << text;
    return path;
  }
  std::string folder_;
};

TEST_F(SmallFile, IsReadWhole) {
  for (size_t size : {0, 1, 511, 512, 513, 100'000}) {
    std::string text(size, 'x');
    auto read = read_small_file(write(text), 100'000);
    ASSERT_TRUE(read.ok()) << read.status().message();
    EXPECT_EQ(read->reveal(), text);
  }
}

TEST_F(SmallFile, OfProcHasNoSizeAndIsReadAllTheSame) {
  auto read = read_small_file("/proc/self/environ", 16 << 20);
  ASSERT_TRUE(read.ok());
  EXPECT_NE(read->reveal().find("PATH="), std::string_view::npos);
  EXPECT_EQ(read_small_file("/proc/self/environ", 4).status().code(), Code::kResourceExhausted);
}

TEST_F(SmallFile, IsRefusedWhenLargeAndWhenItIsNone) {
  std::string path = write(std::string(101, 'x'));
  EXPECT_EQ(read_small_file(path, 100).status().code(), Code::kResourceExhausted);
  EXPECT_EQ(read_small_file(folder_ + "/none", 100).status().code(), Code::kNotFound);
  EXPECT_EQ(read_small_file(folder_, 100).status().code(), Code::kInvalidArgument);
  std::string fifo = folder_ + "/fifo";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  auto read = read_small_file(fifo, 100);
  EXPECT_EQ(read.status().code(), Code::kInvalidArgument);
  EXPECT_NE(read.status().message().find(fifo), std::string::npos);
}

}  // namespace
}  // namespace depot::base

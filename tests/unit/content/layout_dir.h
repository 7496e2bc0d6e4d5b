// A layout in a folder that goes with the test.
#pragma once

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "content/store.h"

namespace depot::content {

class LayoutTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/depot-content-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    dir_ = name;
    auto opened = Store::open(dir_, Store::Use::kWrite);
    ASSERT_TRUE(opened.ok()) << opened.status().message();
    store_ = *opened;
  }
  void TearDown() override {
    store_ = nullptr;
    std::filesystem::remove_all(dir_);
  }

  static std::span<const uint8_t> bytes(std::string_view text) {
    return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
  }
  // Puts a blob there, and gives its digest.
  std::string put(const std::string& text) {
    auto writer = store_->write("ref of " + text.substr(0, 100), 0, "sha256");
    EXPECT_TRUE(writer.ok()) << writer.status().message();
    EXPECT_TRUE((*writer)->write(bytes(text)).ok());
    auto digest = (*writer)->commit(0, "");
    EXPECT_TRUE(digest.ok()) << digest.status().message();
    return digest->text();
  }
  std::string descriptor(const std::string& digest, const std::string& text,
                         const std::string& type = "application/vnd.oci.image.manifest.v1+json") {
    return R"({"mediaType":")" + type + R"(","digest":")" + digest + R"(","size":)" +
           std::to_string(text.size()) + "}";
  }
  std::filesystem::path path_of(const std::string& digest) {
    auto parsed = Digest::parse(digest);
    return std::filesystem::path(dir_) / "blobs" / parsed->algorithm / parsed->hex;
  }
  std::string file(const std::filesystem::path& name) {
    std::ifstream in(std::filesystem::path(dir_) / name, std::ios::binary);
    std::ostringstream text;
    text << in.rdbuf();
    return text.str();
  }
  size_t left_in_ingest() {
    auto folder = std::filesystem::path(dir_) / "ingest";
    if (!std::filesystem::exists(folder)) return 0;
    return static_cast<size_t>(std::distance(std::filesystem::directory_iterator(folder), {}));
  }

  std::string dir_;
  std::shared_ptr<Store> store_;
};

}  // namespace depot::content

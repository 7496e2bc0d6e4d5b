// A folder that goes with the test, and scripts in it.
#pragma once

#include <gtest/gtest.h>

#include <chrono>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

#include "base/environment.h"

namespace depot::localbuilder {

class TempDirTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/depot-local-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    dir_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  std::string executable(const std::filesystem::path& path, const std::string& text = "") {
    std::filesystem::create_directories(path.parent_path());
    std::ofstream(path) << "#!/bin/sh\n" << text;
    std::filesystem::permissions(path, std::filesystem::perms::owner_all);
    return path;
  }
  static base::Environment environment(std::map<std::string, std::string, std::less<>> values) {
    return base::Environment(std::move(values));
  }
  static std::chrono::steady_clock::time_point soon() {
    return std::chrono::steady_clock::now() + std::chrono::seconds(60);
  }

  std::filesystem::path dir_;
};

}  // namespace depot::localbuilder

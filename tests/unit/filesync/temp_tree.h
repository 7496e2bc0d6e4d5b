// A directory for one test, and being somebody whom permissions bind.
#pragma once

#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <string>

namespace depot::filesync {

class TempTree {
 public:
  TempTree() {
    std::string name = std::filesystem::temp_directory_path() / "filesync-XXXXXX";
    if (::mkdtemp(name.data()) == nullptr) std::abort();
    root_ = name;
    ::chmod(name.c_str(), 0755);
  }
  ~TempTree() {
    std::error_code ignored;
    std::filesystem::remove_all(root_, ignored);
  }
  std::string root() const { return root_; }
  std::string path(const std::string& name) const { return root_ / name; }
  void file(const std::string& name, const std::string& content = "") const {
    std::filesystem::create_directories((root_ / name).parent_path());
    std::ofstream(root_ / name) << content;
  }
  void dir(const std::string& name) const { std::filesystem::create_directories(root_ / name); }
  void symlink(const std::string& target, const std::string& name) const {
    std::filesystem::create_symlink(target, root_ / name);
  }
  void remove(const std::string& name) const { std::filesystem::remove_all(root_ / name); }
  void chmod(const std::string& name, mode_t mode) const { ::chmod(path(name).c_str(), mode); }

 private:
  std::filesystem::path root_;
};

// Root is bound by no permission; while this lives it is nobody, in all threads.
class AsNobody {
 public:
  AsNobody() : was_root_(::geteuid() == 0) { EXPECT_EQ(was_root_ ? ::seteuid(65534) : 0, 0); }
  ~AsNobody() { EXPECT_EQ(was_root_ ? ::seteuid(0) : 0, 0); }

 private:
  bool was_root_;
};

}  // namespace depot::filesync

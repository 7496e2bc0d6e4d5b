// A directory that paths are resolved beneath: no symlink is followed and nothing outside is
// reached, whatever the tree turns into meanwhile.
#pragma once

#include <dirent.h>
#include <sys/stat.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/status.h"

namespace depot::filesync {

class RootDir {
 public:
  // `path` itself may be a symlink.
  static base::Result<RootDir> open(const std::string& path);

  int fd() const { return fd_.get(); }
  const std::string& path() const { return path_; }

  // openat beneath the root; `path` relative and clean, "" being the root. -1 and errno as usual;
  // ELOOP where a symlink is in the way. O_NOFOLLOW and O_CLOEXEC are implied.
  int open_beneath(const std::string& path, int flags) const;

 private:
  int open_by_steps(const std::string& path, int flags) const;

  base::UniqueFd fd_;
  std::string path_;
};

// The names in a directory, sorted by bytes, without "." and "..".
class NameList {
 public:
  struct Item {
    uint32_t offset;
    uint16_t size;
    uint8_t type;  // DT_*
  };

  // Reads `fd` to its end. Not ok(errno != 0): what was read so far is kept.
  int read(int fd);
  void assign(std::vector<std::string> names);
  void clear();

  size_t size() const { return items_.size(); }
  uint8_t type(size_t i) const { return items_[i].type; }
  std::string_view name(size_t i) const {
    return {text_.data() + items_[i].offset, items_[i].size};
  }

 private:
  void add(std::string_view name, uint8_t type);
  void sort();

  std::string text_;
  std::vector<Item> items_;
};

}  // namespace depot::filesync

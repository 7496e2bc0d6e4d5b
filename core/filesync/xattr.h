// Extended attributes of directory entries that are not opened: symlinks, devices, files that may
// not be read. Since fgetxattr() does not work on O_PATH descriptors, there are three ways, the
// first that works is taken: the *xattrat() system calls (Linux 6.13), names relative to a working
// directory that is this thread's alone, and whole paths. Most entries have none, so asking is kept
// to one system call, and to none on a file system that has no attributes.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/status.h"

namespace depot::filesync {

using Xattrs = std::vector<std::pair<std::string, std::string>>;

class XattrReader {
 public:
  enum class Way { kAt, kOwnCwd, kPath };

  // Belongs to the calling thread, whose working directory it may separate from the process's.
  // Ways before `first` are left out (tests).
  explicit XattrReader(std::string root_path, int root_fd, Way first = Way::kAt);

  Way way() const { return way_; }

  // The directory whose entries read() is about next, and its path below the root ("" or with a
  // slash at its end). `dir_fd` must stay open until the next call.
  int enter(int dir_fd, std::string_view dir_slash);
  // Attributes of an entry. ENOTSUP counts as none; values that cannot be read are left out, as are
  // com.apple.*. Returns errno.
  int read(const std::string& name, const struct stat& info, Xattrs* out);
  // Attributes of an open file (not O_PATH).
  int read_open(int fd, const struct stat& info, Xattrs* out);

 private:
  int collect(int fd, const char* name, const struct stat& info, Xattrs* out);
  long list(int fd, const char* name, char* buffer, size_t size);
  long get(int fd, const char* name, const char* key, char* buffer, size_t size);

  std::string root_path_;
  Way way_;
  int dir_fd_ = -1;
  std::string full_path_;
  size_t dir_length_ = 0;  // of the directory's part of full_path_
  std::vector<char> names_;
  std::vector<char> value_;
  std::vector<uint64_t> without_;  // devices that said ENOTSUP
};

}  // namespace depot::filesync

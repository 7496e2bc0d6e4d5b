#include "filesync/xattr.h"

#include <fcntl.h>
#include <sched.h>
#include <sys/syscall.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <cstring>

namespace depot::filesync {
namespace {

// Newer than the C library's headers; the numbers are the same on all architectures but alpha.
constexpr long kGetxattrat = 464;
constexpr long kListxattrat = 465;

struct XattrArgs {
  alignas(8) uint64_t value;
  uint32_t size;
  uint32_t flags;
};

// The kernel makes a buffer of the size it is offered for each call: for 64 KiB, which is all there
// can be, that costs more than the question itself. Nearly all answers fit into the first.
constexpr size_t kFirst = 512;
constexpr size_t kMost = 64 << 10;

// Calls `ask` with a buffer that is large enough for the answer.
template <class Ask>
long ask_with_room(std::vector<char>* buffer, Ask&& ask) {
  if (buffer->empty()) buffer->resize(kFirst);
  long size = ask(buffer->data(), kFirst);
  if (size >= 0 || errno != ERANGE) return size;
  buffer->resize(kMost);
  return ask(buffer->data(), kMost);
}

}  // namespace

XattrReader::XattrReader(std::string root_path, int root_fd, Way first)
    : root_path_(std::move(root_path)), way_(first) {
  if (way_ == Way::kAt) {
    long known = ::syscall(kListxattrat, root_fd, "", AT_EMPTY_PATH, nullptr, size_t{0});
    // ENOSYS, or whatever a sandbox makes of a call it does not know.
    if (known < 0 && errno != ENOTSUP && errno != ENODATA) way_ = Way::kOwnCwd;
  }
  if (way_ == Way::kOwnCwd && ::unshare(CLONE_FS) != 0) way_ = Way::kPath;
}

// Of the open file `fd`, or of `name` in the entered directory if there is none.
long XattrReader::list(int fd, const char* name, char* buffer, size_t size) {
  if (fd >= 0) return ::flistxattr(fd, buffer, size);
  if (way_ == Way::kAt)
    return ::syscall(kListxattrat, dir_fd_, name, AT_SYMLINK_NOFOLLOW, buffer, size);
  return ::llistxattr(way_ == Way::kPath ? full_path_.c_str() : name, buffer, size);
}

long XattrReader::get(int fd, const char* name, const char* key, char* buffer, size_t size) {
  if (fd >= 0) return ::fgetxattr(fd, key, buffer, size);
  if (way_ == Way::kAt) {
    XattrArgs args{reinterpret_cast<uint64_t>(buffer), static_cast<uint32_t>(size), 0};
    return ::syscall(kGetxattrat, dir_fd_, name, AT_SYMLINK_NOFOLLOW, key, &args, sizeof args);
  }
  return ::lgetxattr(way_ == Way::kPath ? full_path_.c_str() : name, key, buffer, size);
}

int XattrReader::enter(int dir_fd, std::string_view dir_slash) {
  dir_fd_ = dir_fd;
  if (way_ == Way::kOwnCwd) return ::fchdir(dir_fd) == 0 ? 0 : errno;
  if (way_ == Way::kPath) {
    full_path_ = root_path_;
    full_path_ += '/';
    full_path_ += dir_slash;
    dir_length_ = full_path_.size();
  }
  return 0;
}

int XattrReader::read(const std::string& name, const struct stat& info, Xattrs* out) {
  if (way_ == Way::kPath) {
    full_path_.resize(dir_length_);
    full_path_ += name;
  }
  return collect(-1, name.c_str(), info, out);
}

int XattrReader::read_open(int fd, const struct stat& info, Xattrs* out) {
  return collect(fd, "", info, out);
}

int XattrReader::collect(int fd, const char* name, const struct stat& info, Xattrs* out) {
  out->clear();
  if (!without_.empty() &&
      std::find(without_.begin(), without_.end(), info.st_dev) != without_.end())
    return 0;
  long size = ask_with_room(
      &names_, [&](char* buffer, size_t room) { return list(fd, name, buffer, room); });
  if (size < 0) {
    if (errno != ENOTSUP) return errno;
    if (S_ISREG(info.st_mode) || S_ISDIR(info.st_mode)) without_.push_back(info.st_dev);
    return 0;
  }
  for (long at = 0; at < size;) {
    const char* key = names_.data() + at;
    at += static_cast<long>(std::strlen(key)) + 1;
    if (std::strncmp(key, "com.apple.", 10) == 0) continue;
    long got = ask_with_room(
        &value_, [&](char* buffer, size_t room) { return get(fd, name, key, buffer, room); });
    if (got >= 0) out->emplace_back(key, std::string(value_.data(), static_cast<size_t>(got)));
  }
  return 0;
}

}  // namespace depot::filesync

#include "filesync/root_dir.h"

#include <fcntl.h>
#include <linux/openat2.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <memory>

namespace depot::filesync {

base::Result<RootDir> RootDir::open(const std::string& path) {
  RootDir root;
  root.path_ = path.empty() ? "." : path;
  root.fd_.reset(::open(root.path_.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root.fd_.valid()) return base::errno_error(errno, "open directory " + root.path_);
  return root;
}

int RootDir::open_beneath(const std::string& path, int flags) const {
  flags |= O_CLOEXEC | O_NOFOLLOW;
  const char* name = path.empty() ? "." : path.c_str();
  open_how how{};
  how.flags = static_cast<uint64_t>(flags);
  how.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS;
  for (;;) {
    long fd = ::syscall(SYS_openat2, fd_.get(), name, &how, sizeof how);
    if (fd >= 0) return static_cast<int>(fd);
    if (errno == EINTR || errno == EAGAIN) continue;  // EAGAIN: a rename raced with ".."
    // Old kernels, and sandboxes that know no openat2: EPERM there, but a file may say so, too.
    if (errno == ENOSYS || errno == EPERM) return open_by_steps(name, flags);
    return -1;
  }
}

int RootDir::open_by_steps(const std::string& path, int flags) const {
  base::UniqueFd held;
  int dir = fd_.get();
  size_t at = 0;
  for (size_t slash; (slash = path.find('/', at)) != std::string::npos; at = slash + 1) {
    std::string part = path.substr(at, slash - at);
    if (part == "..") {
      errno = EXDEV;
      return -1;
    }
    held.reset(::openat(dir, part.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    if (!held.valid()) return -1;
    dir = held.get();
  }
  std::string last = path.substr(at);
  if (last == "..") {
    errno = EXDEV;
    return -1;
  }
  return ::openat(dir, last.c_str(), flags);
}

namespace {

// struct linux_dirent64 without its flexible array, which C++ does not have: u64 inode, i64 offset,
// u16 length, u8 type, and the name up to a zero.
constexpr size_t kLengthAt = 16;
constexpr size_t kTypeAt = 18;
constexpr size_t kNameAt = 19;

}  // namespace

void NameList::clear() {
  text_.clear();
  items_.clear();
}

void NameList::add(std::string_view name, uint8_t type) {
  items_.push_back({static_cast<uint32_t>(text_.size()), static_cast<uint16_t>(name.size()), type});
  text_ += name;
}

void NameList::sort() {
  std::sort(items_.begin(), items_.end(), [this](const Item& a, const Item& b) {
    return std::string_view(text_.data() + a.offset, a.size) <
           std::string_view(text_.data() + b.offset, b.size);
  });
}

int NameList::read(int fd) {
  clear();
  int error = 0;
  alignas(uint64_t) char buffer[32 << 10];
  for (;;) {
    long got = ::syscall(SYS_getdents64, fd, buffer, sizeof buffer);
    if (got < 0) {
      if (errno == EINTR) continue;
      if (errno != ENOENT) error = errno;  // ENOENT: removed while open, nothing left to list
      break;
    }
    if (got == 0) break;
    for (long at = 0; at < got;) {
      const char* entry = buffer + at;
      uint16_t length;
      std::memcpy(&length, entry + kLengthAt, sizeof length);
      at += length;
      std::string_view name(entry + kNameAt);
      if (name.empty() || name == "." || name == "..") continue;
      if (text_.size() + name.size() > UINT32_MAX) return EOVERFLOW;
      add(name, static_cast<uint8_t>(entry[kTypeAt]));
    }
  }
  sort();
  return error;
}

void NameList::assign(std::vector<std::string> names) {
  clear();
  for (const auto& name : names) add(name, DT_UNKNOWN);
  sort();
}

}  // namespace depot::filesync

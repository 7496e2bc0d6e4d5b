#include "filesync/tree_disk.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <fstream>

#include "base/id.h"

namespace depot::filesync {

using base::Code;
using base::Hop;
using base::Status;

namespace {

constexpr size_t kMostDirs = 32;
// Of entries that are not done yet: a directory is at the end, a file with its last byte.
constexpr size_t kMaxXattrBytes = 64 << 20;
constexpr int kDirFlags = O_PATH | O_DIRECTORY;

// The process's, which cannot be asked for without being changed, but for /proc.
mode_t current_umask() {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    if (line.starts_with("Umask:"))
      return static_cast<mode_t>(std::strtoul(line.c_str() + 6, nullptr, 8));
  }
  return 0777;  // unknown: every mode is set by hand
}

// What is held by an O_PATH descriptor, which fchmod() refuses: never by name, where somebody may
// have put a symbolic link meanwhile.
void set_mode(int path_fd, mode_t mode) {
  (void)::chmod(("/proc/self/fd/" + std::to_string(path_fd)).c_str(), mode);
}

}  // namespace

BothTimes::BothTimes(int64_t ns) {
  constexpr int64_t kSecond = 1000000000;
  int64_t rest = ns % kSecond;
  times[0] = {ns / kSecond - (rest < 0 ? 1 : 0), rest < 0 ? rest + kSecond : rest};
  times[1] = times[0];
}

TreeDisk::TreeDisk(RootDir root, const TreeOptions& options)
    : root_(std::move(root)), options_(options), umask_(current_umask()) {}

std::string TreeDisk::path(uint32_t id) const {
  std::string out;
  for (; id != kRoot; id = entries_[id].parent) out = "/" + name(entries_[id]) + out;
  return root_.path() + out;
}

Status TreeDisk::failed(int error, uint32_t id) const {
  return base::errno_error(error, "cannot write " + path(id));
}

// Entries come in the order of a walk: their directory is one of those on the way to the last one.
base::Result<uint32_t> TreeDisk::parent_of(std::string_view dir) {
  while (!stack_.empty() && stack_.back().first != dir) stack_.pop_back();
  if (stack_.empty() && !dir.empty())
    return Status(Code::kInternal, Hop::kSession, "an entry without its directory");
  return stack_.empty() ? kRoot : stack_.back().second;
}

int TreeDisk::dir_fd(uint32_t dir) {
  if (dir == kRoot) return root_.fd();
  for (size_t i = 0; i < dirs_.size(); ++i) {
    if (dirs_[i].dir != dir) continue;
    if (i > 0)
      std::rotate(dirs_.begin(), dirs_.begin() + static_cast<long>(i),
                  dirs_.begin() + static_cast<long>(i) + 1);
    return dirs_.front().fd.get();
  }
  std::string below = path(dir).substr(root_.path().size() + 1);
  base::UniqueFd fd(root_.open_beneath(below, kDirFlags));
  if (!fd.valid()) return -1;
  if (dirs_.size() == kMostDirs) dirs_.pop_back();
  dirs_.insert(dirs_.begin(), {dir, std::move(fd)});
  return dirs_.front().fd.get();
}

uint32_t TreeDisk::permissions(uint32_t mode) {
  uint32_t bits = go_mode::to_permissions(mode);
  if (options_.keep_setuid || (bits & (S_ISUID | S_ISGID)) == 0) return bits;
  ++totals_.setuid_dropped;
  return bits & ~static_cast<uint32_t>(S_ISUID | S_ISGID);
}

// A file capability is set-user-ID by another name, and what else the kernel believes of a file is
// not the builder's to say.
Status TreeDisk::keep_xattrs(uint32_t id, const Stat& stat) {
  std::vector<std::pair<std::string, std::string>> kept;
  for (const auto& [key, value] : stat.xattrs) {
    if (!options_.keep_setuid && (key.starts_with("security.") || key.starts_with("trusted."))) {
      if (key == "security.capability") ++totals_.setuid_dropped;
      continue;
    }
    xattr_bytes_ += key.size() + value.size();
    kept.emplace_back(key, value);
  }
  if (xattr_bytes_ > kMaxXattrBytes)
    return Status(Code::kResourceExhausted, Hop::kSession,
                  "the builder sends too many extended attributes: " + path(id));
  if (!kept.empty()) xattrs_[id] = std::move(kept);
  return {};
}

Status TreeDisk::entry(uint32_t id, const Stat& stat) {
  size_t slash = stat.path.rfind('/');
  std::string_view whole = stat.path;
  std::string_view dir = slash == std::string::npos ? std::string_view() : whole.substr(0, slash);
  std::string_view base = slash == std::string::npos ? whole : whole.substr(slash + 1);
  if (id != entries_.size() || base.size() > NAME_MAX || names_.size() + base.size() > UINT32_MAX)
    return Status(Code::kInvalidArgument, Hop::kSession, "an entry that cannot be: " + stat.path);
  DEPOT_ASSIGN(uint32_t parent, parent_of(dir));
  entries_.push_back({parent, static_cast<uint32_t>(names_.size()),
                      static_cast<uint16_t>(base.size()), false, stat.mode, stat.mod_time,
                      stat.size});
  names_ += base;
  ++totals_.entries;
  if (go_mode::is_dir(stat.mode)) {
    stack_.emplace_back(stat.path, id);
    DEPOT_TRY(keep_xattrs(id, stat));
    return make_dir(id);
  }
  if (go_mode::is_symlink(stat.mode)) return make_symlink(id, stat.linkname);
  if (!stat.linkname.empty()) {
    links_.emplace_back(id, stat.linkname);
    return {};
  }
  if (!go_mode::is_requestable(stat.mode)) return make_node(id, stat);
  return keep_xattrs(id, stat);  // the file is made with its first content
}

Status TreeDisk::replace(uint32_t id, int dir, const std::string& temporary) {
  std::string to = name(entries_[id]);
  if (::renameat(dir, temporary.c_str(), dir, to.c_str()) == 0) return {};
  int error = errno;
  // A file takes the place of a directory.
  if (error == EISDIR || error == ENOTEMPTY || error == EEXIST) {
    error = remove_tree(dir, to, &totals_.removed);
    if (error == 0 && ::renameat(dir, temporary.c_str(), dir, to.c_str()) == 0) return {};
    if (error == 0) error = errno;
  }
  ::unlinkat(dir, temporary.c_str(), 0);
  return failed(error, id);
}

template <class Make>
Status TreeDisk::put(uint32_t id, Make make) {
  int dir = dir_fd(entries_[id].parent);
  if (dir < 0) return failed(errno, id);
  std::string own = name(entries_[id]);
  if (make(dir, own.c_str()) == 0) return {};
  if (errno != EEXIST) return failed(errno, id);
  std::string temporary = ".tmp." + base::random_hex(8);
  if (make(dir, temporary.c_str()) != 0) return failed(errno, id);
  return replace(id, dir, temporary);
}

Status TreeDisk::make_dir(uint32_t id) {
  int dir = dir_fd(entries_[id].parent);
  if (dir < 0) return failed(errno, id);
  std::string own = name(entries_[id]);
  // Ours to write in until its own mode is set, at last.
  mode_t mode = go_mode::to_permissions(entries_[id].mode) & 0777;
  if (::mkdirat(dir, own.c_str(), mode | 0700) == 0) return {};
  if (errno != EEXIST) return failed(errno, id);
  base::UniqueFd there(::openat(dir, own.c_str(), O_PATH | O_NOFOLLOW | O_CLOEXEC));
  struct stat info {};
  if (!there.valid() || ::fstat(there.get(), &info) != 0) return failed(errno, id);
  if (S_ISDIR(info.st_mode)) {
    if ((info.st_mode & 0700) != 0700 && info.st_uid == ::geteuid())
      set_mode(there.get(), (info.st_mode & 07777) | 0700);
    return {};
  }
  if (::unlinkat(dir, own.c_str(), 0) != 0 || ::mkdirat(dir, own.c_str(), mode | 0700) != 0)
    return failed(errno, id);
  return {};
}

Status TreeDisk::make_symlink(uint32_t id, const std::string& target) {
  BothTimes times(entries_[id].mod_time);
  return put(id, [&](int dir, const char* as) {
    if (::symlinkat(target.c_str(), dir, as) != 0) return -1;
    (void)::utimensat(dir, as, times.times, AT_SYMLINK_NOFOLLOW);
    return 0;
  });
}

Status TreeDisk::make_node(uint32_t id, const Stat& stat) {
  mode_t type = 0;
  if ((stat.mode & go_mode::kNamedPipe) != 0)
    type = S_IFIFO;
  else if ((stat.mode & go_mode::kCharDevice) != 0)
    type = S_IFCHR;
  else if ((stat.mode & go_mode::kDevice) != 0)
    type = S_IFBLK;
  else
    return Status(Code::kInvalidArgument, Hop::kSession,
                  "the builder sent an entry of an unknown kind: " + stat.path);
  if (type != S_IFIFO && !options_.devices) {
    return Status(Code::kFailedPrecondition, Hop::kLocal,
                  "the export holds a device, " + stat.path + ", and devices are not made")
        .with_hint("leave it out of the image, or export with devices=true");
  }
  mode_t mode = permissions(stat.mode);
  dev_t device =
      makedev(static_cast<unsigned>(stat.dev_major), static_cast<unsigned>(stat.dev_minor));
  BothTimes times(stat.mod_time);
  return put(id, [&](int dir, const char* as) {
    if (::mknodat(dir, as, type | mode, type == S_IFIFO ? 0 : device) != 0) return -1;
    base::UniqueFd made(::openat(dir, as, O_PATH | O_NOFOLLOW | O_CLOEXEC));
    struct stat info {};
    if (made.valid() && ::fstat(made.get(), &info) == 0 && (info.st_mode & S_IFMT) == type)
      set_mode(made.get(), mode);
    (void)::utimensat(dir, as, times.times, AT_SYMLINK_NOFOLLOW);
    return 0;
  });
}

Status TreeDisk::make_link(uint32_t id, const std::string& target) {
  size_t slash = target.rfind('/');
  base::UniqueFd held;
  int from = root_.fd();
  if (slash != std::string::npos) {
    held.reset(root_.open_beneath(target.substr(0, slash), kDirFlags));
    if (!held.valid()) return failed(errno, id);
    from = held.get();
  }
  std::string base = slash == std::string::npos ? target : target.substr(slash + 1);
  return put(id, [&](int dir, const char* as) { return ::linkat(from, base.c_str(), dir, as, 0); });
}

}  // namespace depot::filesync

#include "filesync/walker.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "filesync/virtual_tree.h"

namespace depot::filesync {
namespace {

using base::Status;

bool is_gone(int error) {
  return error == ENOENT || error == ENOTDIR;
}
bool is_denied(int error) {
  return error == EACCES || error == EPERM;
}

int64_t nanoseconds(const timespec& time) {
  // Wraps for years beyond 2262, as Go's UnixNano does.
  return static_cast<int64_t>(static_cast<uint64_t>(time.tv_sec) * 1000000000u +
                              static_cast<uint64_t>(time.tv_nsec));
}

int64_t major_of(uint64_t device) {
  return static_cast<int64_t>(device >> 8 & 0xfff);
}
int64_t minor_of(uint64_t device) {
  return static_cast<int64_t>((device & 0xff) | (device >> 12 & 0xfff00));
}

}  // namespace

Walker::Walker(const RootDir& root, const EntryFilter& filter, const Options& options,
               EntrySink& sink)
    : root_(root),
      filter_(filter),
      options_(options),
      sink_(sink),
      xattrs_(root.path(), root.fd(), options.xattr_way) {}

Status Walker::fail(int error, const char* what, std::string_view path) const {
  return base::errno_error(error, std::string(what) + " " + std::string(path));
}

Status Walker::run() {
  DEPOT_TRY(push(true));
  while (depth_ > 0) {
    Frame& frame = top();
    if (frame.next == frame.names.size() || !ensure_open(depth_ - 1)) {
      if (entered_ == frame.fd.get()) entered_ = -1;
      frame.fd.reset();
      --depth_;
      continue;
    }
    size_t i = frame.next++;
    if (i % 1024 == 1023 && !sink_.wanted()) return base::cancelled_error();
    DEPOT_TRY(visit(frame.names.name(i), frame.names.type(i)));
  }
  return Status();
}

// Opens a directory again that was closed to spare descriptors. False: it is not what it was, and
// what is left of it counts as vanished.
bool Walker::ensure_open(size_t depth) {
  Frame& frame = frames_[depth];
  if (frame.fd.valid()) return true;
  size_t size = frame.path_size == 0 ? 0 : frame.path_size - 1;
  frame.fd.reset(root_.open_beneath(path_.substr(0, size), O_RDONLY | O_DIRECTORY));
  struct stat info;
  if (frame.fd.valid() && ::fstat(frame.fd.get(), &info) == 0 && info.st_dev == frame.device &&
      info.st_ino == frame.inode)
    return true;
  frame.fd.reset();
  return false;
}

Status Walker::visit(std::string_view name, uint8_t type) {
  Frame& frame = top();
  int dir = frame.fd.get();
  path_.resize(frame.path_size);
  path_ += name;
  name_ = name;
  if (path_.size() >= kMaxPath) return fail(ENAMETOOLONG, "lstat", path_);

  auto cover = VirtualTree::Cover::kNone;
  if (options_.overlay != nullptr) cover = options_.overlay->covers(path_);
  if (cover == VirtualTree::Cover::kFile) return Status();

  struct stat info;
  auto lstat_now = [&] {
    return ::fstatat(dir, name_.c_str(), &info, AT_SYMLINK_NOFOLLOW) == 0 ? 0 : errno;
  };
  bool all = filter_.keeps_all();
  bool known = all || type == DT_UNKNOWN;
  if (known) {
    if (int error = lstat_now(); error != 0)
      return is_gone(error) ? Status() : fail(error, "lstat", path_);
  }
  bool is_dir = known ? S_ISDIR(info.st_mode) : type == DT_DIR;
  if (cover == VirtualTree::Cover::kDirectory && !is_dir) return Status();
  EntryFilter::Verdict verdict{true, is_dir};
  if (!all) {
    DEPOT_ASSIGN(verdict, filter_.check(path_, is_dir, frame.state, &child_state_));
  }
  if (verdict.keep) {
    if (!known) {
      if (int error = lstat_now(); error != 0)
        return is_gone(error) ? Status() : fail(error, "lstat", path_);
    }
    DEPOT_TRY(emit_parents());
    bool vanished = false;
    DEPOT_TRY(emit(path_, -1, info, &vanished));
    // A file may have taken the directory's place, or the other way round.
    if (vanished || !S_ISDIR(info.st_mode)) return Status();
  }
  return is_dir && verdict.descend ? push(verdict.keep) : Status();
}

// Goes down into the entry at path_, or into the root if there is no directory yet.
Status Walker::push(bool kept) {
  if (!sink_.wanted()) return base::cancelled_error();
  base::UniqueFd fd;
  constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  if (depth_ == 0) {
    fd.reset(root_.open_beneath("", kFlags));
  } else {
    fd.reset(::openat(top().fd.get(), name_.c_str(), kFlags));
  }
  struct stat info;
  if (!fd.valid() || ::fstat(fd.get(), &info) != 0) {
    int error = errno;
    if (depth_ > 0 && (is_gone(error) || error == ELOOP)) return Status();
    return !kept && is_denied(error) ? Status() : fail(error, "open", path_);
  }
  if (frames_.size() == depth_) frames_.emplace_back();
  Frame& frame = frames_[depth_];
  if (depth_ == 0) {
    frame.state = filter_.root_state();
  } else {
    path_ += '/';
    std::swap(frame.state, child_state_);
  }
  frame.path_size = path_.size();
  frame.device = info.st_dev;
  frame.inode = info.st_ino;
  frame.next = 0;
  frame.emitted = kept;
  std::vector<std::string> names;
  if (filter_.known_names(path_, frame.state, &names)) {
    frame.names.assign(std::move(names));
  } else if (int error = frame.names.read(fd.get()); error != 0) {
    if (kept || !is_denied(error)) return fail(error, "read directory", path_);
  }
  frame.fd = std::move(fd);
  ++depth_;
  if (depth_ > kMaxOpenDirs) {
    base::UniqueFd& oldest = frames_[depth_ - 1 - kMaxOpenDirs].fd;
    if (entered_ == oldest.get()) entered_ = -1;
    oldest.reset();
  }
  return Status();
}

// Directories that were not kept for themselves, but have something below that is.
Status Walker::emit_parents() {
  for (size_t i = 1; i < depth_; ++i) {
    Frame& frame = frames_[i];
    if (frame.emitted) continue;
    frame.emitted = true;
    struct stat info;
    bool vanished = false;
    if (!ensure_open(i) || ::fstat(frame.fd.get(), &info) != 0) continue;
    std::string path = path_.substr(0, frame.path_size - 1);
    DEPOT_TRY(emit(path, frame.fd.get(), info, &vanished));
    if (i + kMaxOpenDirs < depth_) frame.fd.reset();
  }
  return Status();
}

Status Walker::emit(std::string_view path, int fd, const struct stat& info, bool* vanished) {
  StatView stat;
  stat.path = path;
  stat.mode = go_mode::from_stat(info.st_mode);
  if (!options_.reset_owner) {
    stat.uid = info.st_uid;
    stat.gid = info.st_gid;
  }
  stat.mod_time = nanoseconds(info.st_mtim);
  char target[PATH_MAX];
  if (!S_ISDIR(info.st_mode)) stat.size = info.st_size;
  if (S_ISBLK(info.st_mode) || S_ISCHR(info.st_mode)) {
    stat.dev_major = major_of(info.st_rdev);
    stat.dev_minor = minor_of(info.st_rdev);
  }
  if (S_ISLNK(info.st_mode)) {
    ssize_t size = ::readlinkat(top().fd.get(), name_.c_str(), target, sizeof target);
    if (size < 0) {
      *vanished = is_gone(errno) || errno == EINVAL;  // EINVAL: a symlink no more
      return *vanished ? Status() : fail(errno, "readlink", path);
    }
    stat.linkname = {target, static_cast<size_t>(size)};
  } else if (!S_ISDIR(info.st_mode) && info.st_nlink > 1) {
    // Only what was sent counts as a first path: a receiver must know it.
    auto [first, fresh] = links_.try_emplace({info.st_dev, info.st_ino}, path);
    if (!fresh) stat.linkname = first->second;
  }
  int error = 0;
  if (fd >= 0) {
    error = xattrs_.read_open(fd, info, &found_xattrs_);
  } else {
    if (entered_ != top().fd.get()) {
      error = xattrs_.enter(top().fd.get(), std::string_view(path_).substr(0, top().path_size));
      entered_ = error == 0 ? top().fd.get() : -1;
    }
    if (error == 0) error = xattrs_.read(name_, info, &found_xattrs_);
  }
  if (error != 0) {
    // Once in links_, later members would point to what never came.
    if (!S_ISDIR(info.st_mode) && stat.linkname.empty()) links_.erase({info.st_dev, info.st_ino});
    *vanished = is_gone(error);
    return *vanished ? Status() : fail(error, "list xattrs of", path);
  }
  stat.xattrs = found_xattrs_;
  if (!sink_.add(stat)) return base::cancelled_error();
  return Status();
}

}  // namespace depot::filesync

#include "localbuilder/tree.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/id.h"

namespace depot::localbuilder {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;
using std::chrono::steady_clock;

namespace {

// One descriptor a level; deeper than this is rare and hostile.
constexpr size_t kMaxDepth = 100;
constexpr size_t kMaxEntries = 50'000'000;
constexpr size_t kMaxLinked = 2'000'000;  // files with several names that are remembered
constexpr int64_t kBlock = 512;           // st_blocks', whatever the file system has
constexpr int kCheckEvery = 256;          // entries between looks at the clock

struct CloseDir {
  void operator()(DIR* dir) const { ::closedir(dir); }
};
using Dir = std::unique_ptr<DIR, CloseDir>;

// Null, with errno, if it is not a directory of that name.
Dir open_dir(int parent, const char* name) {
  base::UniqueFd fd(::openat(parent, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (!fd.valid()) return nullptr;
  Dir dir(::fdopendir(fd.get()));
  if (dir) (void)fd.release();
  return dir;
}

// The next entry that is neither "." nor ".."; null at the end, or with errno.
const dirent* next_of(DIR* dir) {
  for (;;) {
    errno = 0;
    const dirent* entry = ::readdir(dir);
    if (!entry) return nullptr;
    const char* name = entry->d_name;
    if (std::strcmp(name, ".") != 0 && std::strcmp(name, "..") != 0) return entry;
  }
}

Status disk_error(int number, const std::string& what) {
  return base::errno_error(number, what).with_hop(Hop::kBuilder);
}

Status not_a_directory(const std::string& name) {
  return Status(Code::kFailedPrecondition, Hop::kBuilder,
                name + " is not a directory (a symlink is refused)");
}

Result<Dir> open_top(int directory, const std::string& name) {
  Dir dir = open_dir(directory, name.c_str());
  if (dir) return dir;
  if (errno == ENOTDIR || errno == ELOOP) return not_a_directory(name);
  return disk_error(errno, "cannot open " + name);
}

class Counter {
 public:
  Counter(const base::Cancel& cancel, steady_clock::time_point deadline)
      : cancel_(cancel), deadline_(deadline) {}

  DiskSize count(Dir top) {
    struct stat st;
    if (::fstat(::dirfd(top.get()), &st) == 0) add(st);
    device_ = st.st_dev;
    levels_.push_back(std::move(top));
    while (!levels_.empty() && !late()) {
      const dirent* entry = next_of(levels_.back().get());
      if (!entry) {
        if (errno != 0) size_.complete = false;
        levels_.pop_back();
      } else {
        look(entry->d_name);
      }
    }
    if (!levels_.empty()) size_.complete = false;
    return size_;
  }

 private:
  void look(const char* name) {
    ++entries_;
    int parent = ::dirfd(levels_.back().get());
    struct stat st;
    if (::fstatat(parent, name, &st, AT_SYMLINK_NOFOLLOW) != 0) {
      if (errno != ENOENT) size_.complete = false;
      return;
    }
    if (st.st_dev != device_) return;  // mounted there; not the cache's
    if (!S_ISDIR(st.st_mode) && st.st_nlink > 1 && seen(st.st_ino)) return;
    add(st);
    if (!S_ISDIR(st.st_mode)) return;
    Dir dir = levels_.size() < kMaxDepth ? open_dir(parent, name) : nullptr;
    if (dir) {
      levels_.push_back(std::move(dir));
    } else if (levels_.size() >= kMaxDepth || errno != ENOENT) {
      size_.complete = false;
    }
  }
  void add(const struct stat& st) { size_.bytes += static_cast<int64_t>(st.st_blocks) * kBlock; }
  // True: counted before, or to be left out, so that the sum never is more than there is.
  bool seen(ino_t inode) {
    if (linked_.count(inode) != 0) return true;
    if (linked_.size() >= kMaxLinked) {
      size_.complete = false;
      return true;
    }
    linked_.insert(inode);
    return false;
  }
  bool late() const {
    if (entries_ >= kMaxEntries) return true;
    if (entries_ % kCheckEvery != 0) return false;
    return cancel_.triggered() || steady_clock::now() >= deadline_;
  }

  const base::Cancel& cancel_;
  const steady_clock::time_point deadline_;
  dev_t device_ = 0;
  size_t entries_ = 0;
  std::set<ino_t> linked_;
  std::vector<Dir> levels_;
  DiskSize size_;
};

class Remover {
 public:
  Remover(int root, const base::Cancel& cancel, steady_clock::time_point deadline)
      : root_(root), cancel_(cancel), deadline_(deadline) {}

  Result<int64_t> remove(const std::string& name) {
    todo_.push_back(name);
    while (!todo_.empty()) {
      std::string next = std::move(todo_.back());
      todo_.pop_back();
      DEPOT_TRY(remove_one(next));
    }
    return bytes_;
  }

 private:
  struct Level {
    Dir dir;
    std::string name;  // in the level above
  };

  Status remove_one(const std::string& name) {
    struct stat st;
    if (::fstatat(root_, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) {
      return errno == ENOENT ? base::ok_status() : disk_error(errno, "cannot look at " + name);
    }
    device_ = st.st_dev;
    levels_.clear();
    DEPOT_TRY(enter_or_unlink(root_, name, st));
    while (!levels_.empty()) {
      if (entries_++ % kCheckEvery == 0) DEPOT_TRY(check_time());
      const dirent* entry = next_of(levels_.back().dir.get());
      if (!entry && errno != 0) return disk_error(errno, "cannot read " + levels_.back().name);
      DEPOT_TRY(entry ? take(entry->d_name) : leave());
    }
    return base::ok_status();
  }

  Status check_time() const {
    if (cancel_.triggered()) return base::cancelled_error("the removal of a cache was cancelled");
    if (steady_clock::now() < deadline_) return base::ok_status();
    return Status(Code::kDeadlineExceeded, Hop::kBuilder, "the cache is not removed to its end yet")
        .with_hint("the local builder removes the rest when it starts the next time");
  }

  Status take(const std::string& name) {
    int parent = ::dirfd(levels_.back().dir.get());
    struct stat st;
    if (::fstatat(parent, name.c_str(), &st, AT_SYMLINK_NOFOLLOW) != 0) {
      return errno == ENOENT ? base::ok_status() : disk_error(errno, "cannot look at " + name);
    }
    if (st.st_dev != device_) {
      return Status(Code::kFailedPrecondition, Hop::kBuilder,
                    "something is mounted at " + name + " in the cache")
          .with_hint("unmount it first");
    }
    if (S_ISDIR(st.st_mode) && levels_.size() >= kMaxDepth) {
      // Up to the top, and from there in its turn: depth costs no descriptors.
      std::string moved = kAsidePrefix + base::random_hex(8);
      if (::renameat(parent, name.c_str(), root_, moved.c_str()) != 0) {
        return errno == ENOENT ? base::ok_status() : disk_error(errno, "cannot move " + name);
      }
      todo_.push_back(std::move(moved));
      return base::ok_status();
    }
    return enter_or_unlink(parent, name, st);
  }

  Status enter_or_unlink(int parent, const std::string& name, const struct stat& st) {
    if (S_ISDIR(st.st_mode)) {
      Dir dir = open_dir(parent, name.c_str());
      if (!dir) {
        return errno == ENOENT ? base::ok_status() : disk_error(errno, "cannot open " + name);
      }
      bytes_ += static_cast<int64_t>(st.st_blocks) * kBlock;
      levels_.push_back({std::move(dir), name});
      return base::ok_status();
    }
    if (::unlinkat(parent, name.c_str(), 0) != 0) {
      return errno == ENOENT ? base::ok_status() : disk_error(errno, "cannot remove " + name);
    }
    // Of several names the last one frees it.
    if (st.st_nlink == 1) bytes_ += static_cast<int64_t>(st.st_blocks) * kBlock;
    return base::ok_status();
  }

  // The directory of the last level is read to its end.
  Status leave() {
    Level done = std::move(levels_.back());
    levels_.pop_back();
    int parent = levels_.empty() ? root_ : ::dirfd(levels_.back().dir.get());
    if (::unlinkat(parent, done.name.c_str(), AT_REMOVEDIR) == 0 || errno == ENOENT) {
      return base::ok_status();
    }
    // readdir may miss what it has to say when entries go while it reads; then once more.
    if (errno == ENOTEMPTY || errno == EEXIST) {
      if (++again_ > kMaxAgain) return disk_error(ENOTEMPTY, "cannot remove " + done.name);
      ::rewinddir(done.dir.get());
      levels_.push_back(std::move(done));
      return base::ok_status();
    }
    return disk_error(errno, "cannot remove " + done.name);
  }

  static constexpr int kMaxAgain = 1000;
  const int root_;
  const base::Cancel& cancel_;
  const steady_clock::time_point deadline_;
  dev_t device_ = 0;
  size_t entries_ = 0;
  int again_ = 0;
  int64_t bytes_ = 0;
  std::vector<std::string> todo_;  // in root_
  std::vector<Level> levels_;
};

}  // namespace

Result<DiskSize> size_on_disk(int directory, const std::string& name, const base::Cancel& cancel,
                              steady_clock::time_point deadline) {
  DEPOT_ASSIGN(Dir top, open_top(directory, name));
  return Counter(cancel, deadline).count(std::move(top));
}

Result<int64_t> remove_tree(int directory, const std::string& name, const base::Cancel& cancel,
                            steady_clock::time_point deadline) {
  return Remover(directory, cancel, deadline).remove(name);
}

}  // namespace depot::localbuilder

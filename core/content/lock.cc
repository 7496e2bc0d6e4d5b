#include "content/lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <algorithm>
#include <cerrno>

namespace depot::content {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;
using namespace std::chrono_literals;

namespace {

constexpr const char* kIndexLock = "index.json.lock";

}  // namespace

bool same_file(int fd, int dir, const char* name) {
  struct stat mine {};
  struct stat there {};
  return ::fstat(fd, &mine) == 0 && ::fstatat(dir, name, &there, AT_SYMLINK_NOFOLLOW) == 0 &&
         mine.st_dev == there.st_dev && mine.st_ino == there.st_ino;
}

Result<FileLock> FileLock::try_lock(int dir, const char* name, bool shared) {
  FileLock lock;
  lock.fd_.reset(::openat(dir, name, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666));
  if (!lock.fd_.valid()) return base::errno_error(errno, std::string("cannot open ") + name);
  if (::flock(lock.fd_.get(), (shared ? LOCK_SH : LOCK_EX) | LOCK_NB) != 0) {
    if (errno == EWOULDBLOCK)
      return Status(Code::kUnavailable, Hop::kLocal, std::string(name) + " is locked");
    return base::errno_error(errno, std::string("cannot lock ") + name);
  }
  return lock;
}

Result<IndexLock> IndexLock::take(int dir, const std::string& shown_dir,
                                  std::chrono::milliseconds wait, const base::Cancel& cancel) {
  const std::string what = "cannot lock " + shown_dir + "/" + kIndexLock;
  const auto deadline = std::chrono::steady_clock::now() + wait;
  auto pause = 1ms;
  for (;;) {
    base::UniqueFd fd(::openat(dir, kIndexLock, O_RDONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0666));
    if (!fd.valid()) return base::errno_error(errno, what);
    if (::flock(fd.get(), LOCK_EX | LOCK_NB) == 0) {
      // Whoever had it before may have removed the file between our open and our lock: then what
      // we hold is nobody's, and another may hold the one that is there.
      if (same_file(fd.get(), dir, kIndexLock)) return IndexLock(dir, std::move(fd));
      continue;
    }
    if (errno != EWOULDBLOCK && errno != EINTR) return base::errno_error(errno, what);
    if (std::chrono::steady_clock::now() >= deadline) {
      return Status(
          Code::kUnavailable, Hop::kLocal,
          what + ": another build has held it for " + std::to_string(wait.count()) + " ms");
    }
    if (cancel.wait_for(pause)) return base::cancelled_error();
    pause = std::min(pause * 2, 50ms);
  }
}

IndexLock::~IndexLock() {
  if (fd_.valid()) ::unlinkat(dir_, kIndexLock, 0);  // before the lock goes: see take()
}

}  // namespace depot::content

#include "localbuilder/file_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/stat.h>

#include <cerrno>

#include "base/wait.h"

namespace depot::localbuilder {

namespace {

base::Result<base::UniqueFd> open_lock_file(const std::string& path) {
  base::UniqueFd fd(::open(path.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600));
  if (!fd.valid()) return base::errno_error(errno, "cannot open the lock file " + path);
  return fd;
}

// ok(false): another process has it.
base::Result<bool> try_lock(int fd, const std::string& path) {
  while (::flock(fd, LOCK_EX | LOCK_NB) != 0) {
    if (errno == EINTR) continue;
    if (errno == EWOULDBLOCK) return false;
    return base::errno_error(errno, "cannot lock " + path);
  }
  return true;
}

}  // namespace

base::Result<FileLock> FileLock::acquire(const std::string& path, const base::Cancel& cancel,
                                         std::chrono::steady_clock::time_point deadline) {
  DEPOT_ASSIGN(base::UniqueFd fd, open_lock_file(path));
  // flock has no wait that can be broken off. The holder's close of the file (its release, or its
  // death) is an inotify event; watched before the first try, so that none is missed.
  base::UniqueFd events(::inotify_init1(IN_CLOEXEC | IN_NONBLOCK));
  if (events.valid()) ::inotify_add_watch(events.get(), path.c_str(), IN_CLOSE_WRITE);
  base::Waiter waiter(cancel, deadline, base::Hop::kBuilder);
  for (;;) {
    DEPOT_ASSIGN(bool locked, try_lock(fd.get(), path));
    if (locked) return FileLock(std::move(fd));
    // At a death the kernel tells of the close just before it drops the lock, hence the ceiling.
    DEPOT_ASSIGN(bool told, waiter.wait(events.get(), POLLIN,
                                        "waiting for another process that "
                                        "starts or stops the local builder",
                                        std::chrono::milliseconds(250)));
    char buffer[4096];
    if (told && ::read(events.get(), buffer, sizeof buffer) < 0 && errno != EAGAIN) {
      return base::errno_error(errno, "reading inotify events");
    }
  }
}

base::Result<std::optional<FileLock>> FileLock::try_acquire(const std::string& path) {
  DEPOT_ASSIGN(base::UniqueFd fd, open_lock_file(path));
  DEPOT_ASSIGN(bool locked, try_lock(fd.get(), path));
  if (!locked) return std::optional<FileLock>();
  return std::optional<FileLock>(FileLock(std::move(fd)));
}

FileLock::~FileLock() {
  // Unlocked before the close, so that who is woken by the close finds it free.
  if (fd_.valid()) ::flock(fd_.get(), LOCK_UN);
}

}  // namespace depot::localbuilder

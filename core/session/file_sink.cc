#include "session/file_sink.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/sendfile.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <deque>
#include <filesystem>
#include <mutex>

#include "base/fd.h"
#include "base/id.h"

namespace depot::session {

using base::Code;
using base::Hop;
using base::Status;

namespace {

// Bytes that may wait for the disk before the daemon is held back.
constexpr size_t kHigh = 4 << 20;
constexpr size_t kLow = 1 << 20;

// `stop` becomes readable when the export is given up: a FIFO's reader may sleep for ever.
Status write_all(int fd, int stop, const std::string& data, const std::string& path) {
  size_t done = 0;
  while (done < data.size()) {
    ssize_t wrote = ::write(fd, data.data() + done, data.size() - done);
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0 && errno == EAGAIN) {
      pollfd wait[] = {{fd, POLLOUT, 0}, {stop, POLLIN, 0}};
      if (::poll(wait, 2, -1) > 0 && wait[1].revents != 0)
        return base::cancelled_error("export " + path + " was given up");
      continue;
    }
    if (wrote < 0) return base::errno_error(errno, "cannot write export " + path);
    done += static_cast<size_t>(wrote);
  }
  return {};
}

// Renaming over it is EBUSY.
bool is_mount_point(const std::string& path) {
  struct statx info {};
  return ::statx(AT_FDCWD, path.c_str(), AT_SYMLINK_NOFOLLOW, STATX_TYPE, &info) == 0 &&
         (info.stx_attributes & info.stx_attributes_mask & STATX_ATTR_MOUNT_ROOT) != 0;
}

}  // namespace

// Shared with the pool's tasks, which may outlive the sink. Holds no pool: the last task must not
// be what ends it.
struct FileSink::State {
  std::string path;
  std::string temporary;  // empty: `path` is written directly
  base::UniqueFd stop;    // an eventfd, for what is written directly

  mutable std::mutex mutex;
  base::UniqueFd fd;  // used by the drainer alone while it runs
  std::deque<std::string> chunks;
  size_t queued = 0;
  bool draining = false;
  bool held = false;
  bool opened = false, complete = false, committed = false, aborted = false;
  Status failure;
  std::function<void(Status)> ready;
  std::function<void(Status)> done;

  // One at a time, on the pool: the order of the bytes is the order of the queue.
  void drain() {
    std::unique_lock lock(mutex);
    while (!chunks.empty() && !aborted && failure.ok()) {
      std::string chunk = std::move(chunks.front());
      chunks.pop_front();
      lock.unlock();
      Status status = write_all(fd.get(), stop.get(), chunk, path);
      lock.lock();
      queued -= chunk.size();
      // Given up from the other side: that is no failure of the file's.
      if (!status.ok() && !aborted) failure = status;
      if ((held && queued <= kLow) || !failure.ok()) {
        held = false;
        auto tell = ready;
        lock.unlock();
        if (tell) tell(status);
        lock.lock();
      }
    }
    if (!failure.ok() || aborted) {
      chunks.clear();
      queued = 0;
    }
    draining = false;
    std::function<void(Status)> call;
    if (done && chunks.empty()) {
      call.swap(done);
      complete = failure.ok() && !aborted;
    }
    Status status = failure;
    lock.unlock();
    if (call) call(status);
  }

  // For a file that is mounted by itself, as containers have it: nothing can take its place, so the
  // whole export is copied into it.
  Status write_in_place() {
    base::UniqueFd from(::open(temporary.c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
    base::UniqueFd to(::open(path.c_str(), O_WRONLY | O_TRUNC | O_CLOEXEC));
    ssize_t copied = from.valid() && to.valid() ? 1 : -1;
    while (copied > 0) copied = ::sendfile(to.get(), from.get(), nullptr, 64 << 20);
    if (copied < 0 || ::close(to.release()) != 0)
      return base::errno_error(errno, "cannot write export " + path);
    ::unlink(temporary.c_str());
    committed = true;
    return {};
  }

  void remove_temporary() {
    fd.reset();
    if (!temporary.empty() && opened && !committed) ::unlink(temporary.c_str());
  }

  ~State() { remove_temporary(); }
};

FileSink::FileSink(std::shared_ptr<State> state, std::shared_ptr<base::Pool> pool)
    : state_(std::move(state)), pool_(std::move(pool)) {}
FileSink::~FileSink() {
  abort();
}

base::Result<std::shared_ptr<FileSink>> FileSink::create(std::string path,
                                                         std::shared_ptr<base::Pool> pool) {
  auto state = std::make_shared<State>();
  struct stat info {};
  if (::stat(path.c_str(), &info) == 0) {
    if (S_ISDIR(info.st_mode))
      return base::usage_error("export destination '" + path + "' is a directory");
    if (S_ISREG(info.st_mode)) {
      // Follow a link to the file it names, so that the link itself is not replaced.
      std::error_code error;
      auto real = std::filesystem::canonical(path, error);
      if (!error) path = real.string();
    }
  }
  if (path.empty() || path.back() == '/')
    return base::usage_error("export destination '" + path + "' is not a file name");
  // The directory that a relative path means is the one it means now.
  std::error_code error;
  path = std::filesystem::absolute(path, error).string();
  auto parent = std::filesystem::path(path).parent_path();
  bool exists = ::stat(path.c_str(), &info) == 0;
  // A file that may be written in a directory that may not, and what is no regular file.
  bool direct = exists && (!S_ISREG(info.st_mode) || ::access(parent.c_str(), W_OK) != 0);
  state->path = path;
  if (!direct) {
    auto name = std::filesystem::path(path).filename().string().substr(0, 200);
    state->temporary = (parent / ("." + name + "." + base::random_hex(6) + ".tmp")).string();
  }
  return std::shared_ptr<FileSink>(new FileSink(std::move(state), std::move(pool)));
}

Status FileSink::open(std::function<void(Status)> ready) {
  State& state = *state_;
  std::lock_guard lock(state.mutex);
  if (state.opened) {
    return Status(Code::kAlreadyExists, Hop::kSession,
                  "the daemon sent export " + state.path + " twice");
  }
  int fd = -1;
  if (state.temporary.empty()) {
    // Never waits: not for somebody to open the other end of a FIFO, nor for it to be read.
    fd = ::open(state.path.c_str(), O_WRONLY | O_TRUNC | O_NONBLOCK | O_CLOEXEC | O_NOCTTY);
    state.stop.reset(::eventfd(0, EFD_CLOEXEC));
    if (fd < 0 && errno == ENXIO) {
      state.failure = Status(Code::kFailedPrecondition, Hop::kLocal,
                             "cannot write export " + state.path + ": nobody reads from it");
      return state.failure;
    }
  } else {
    std::error_code ignored;
    auto parent = std::filesystem::path(state.path).parent_path();
    if (!parent.empty()) std::filesystem::create_directories(parent, ignored);
    fd =
        ::open(state.temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666);
  }
  if (fd < 0) {
    state.failure = base::errno_error(errno, "cannot write export " + state.path);
    return state.failure;
  }
  state.fd.reset(fd);
  state.opened = true;
  state.ready = std::move(ready);
  return {};
}

bool FileSink::write(std::span<const uint8_t> data) {
  State& state = *state_;
  std::lock_guard lock(state.mutex);
  if (state.aborted || !state.failure.ok()) return true;  // `ready` told so
  state.chunks.emplace_back(reinterpret_cast<const char*>(data.data()), data.size());
  state.queued += data.size();
  if (!state.draining) {
    state.draining = true;
    pool_->add([keep = state_] { keep->drain(); });
  }
  if (state.queued < kHigh) return true;
  state.held = true;
  return false;
}

void FileSink::finish(std::function<void(Status)> done) {
  State& state = *state_;
  std::lock_guard lock(state.mutex);
  state.done = std::move(done);
  if (!state.draining) {
    state.draining = true;
    pool_->add([keep = state_] { keep->drain(); });
  }
}

void FileSink::abort() {
  std::lock_guard lock(state_->mutex);
  state_->aborted = true;
  if (state_->stop.valid()) (void)::eventfd_write(state_->stop.get(), 1);
}

bool FileSink::complete() const {
  std::lock_guard lock(state_->mutex);
  return state_->complete;
}

Status FileSink::commit() {
  State& state = *state_;
  std::lock_guard lock(state.mutex);
  if (state.committed) return {};
  if (!state.failure.ok()) return state.failure;
  if (!state.complete)
    return Status(Code::kDataLoss, Hop::kSession, "export " + state.path + " did not arrive whole");
  if (state.temporary.empty()) {
    state.committed = true;
    return {};
  }
  if (is_mount_point(state.path)) return state.failure = state.write_in_place();
  // close() is where a network file system tells that the disk is full.
  if (::close(state.fd.release()) != 0)
    return state.failure = base::errno_error(errno, "cannot write export " + state.path);
  if (::rename(state.temporary.c_str(), state.path.c_str()) != 0)
    return state.failure =
               base::errno_error(errno, "cannot put export " + state.path + " in place");
  state.committed = true;
  return {};
}

Status FileSink::failure() const {
  std::lock_guard lock(state_->mutex);
  return state_->failure;
}

}  // namespace depot::session

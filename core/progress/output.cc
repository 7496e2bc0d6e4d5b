#include "progress/output.h"

#include <poll.h>
#include <pthread.h>
#include <signal.h>
#include <sys/eventfd.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <ctime>
#include <memory>

namespace depot::progress {
namespace {

using base::Code;
using base::Hop;
using base::Status;

// A write to a pipe that has no reader any more is an error here and nothing else: the signal is
// held back for this thread, and taken away when it came.
class NoSigpipe {
 public:
  NoSigpipe() {
    sigemptyset(&pipe_);
    sigaddset(&pipe_, SIGPIPE);
    sigset_t pending;
    sigpending(&pending);
    was_pending_ = sigismember(&pending, SIGPIPE) == 1;
    pthread_sigmask(SIG_BLOCK, &pipe_, &before_);
  }
  ~NoSigpipe() {
    int error = errno;
    timespec now{};
    if (!was_pending_ && raised_) sigtimedwait(&pipe_, nullptr, &now);
    pthread_sigmask(SIG_SETMASK, &before_, nullptr);
    errno = error;
  }
  NoSigpipe(const NoSigpipe&) = delete;
  NoSigpipe& operator=(const NoSigpipe&) = delete;
  void raised() { raised_ = true; }

 private:
  sigset_t pipe_{}, before_{};
  bool was_pending_ = false, raised_ = false;
};

}  // namespace

base::Result<std::unique_ptr<Output>> Output::to_descriptor(int fd) {
  std::unique_ptr<Output> out(new Output());
  out->fd_ = fd;
  out->stop_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!out->stop_.valid()) return base::errno_error(errno, "cannot make an eventfd");
  return out;
}

std::unique_ptr<Output> Output::to_function(Function function) {
  std::unique_ptr<Output> out(new Output());
  out->function_ = std::move(function);
  return out;
}

bool Output::terminal() const {
  return fd_ >= 0 && ::isatty(fd_) == 1;
}

std::pair<size_t, size_t> Output::size() const {
  winsize size{};
  if (fd_ < 0 || ::ioctl(fd_, TIOCGWINSZ, &size) != 0) return {0, 0};
  return {size.ws_col, size.ws_row};
}

void Output::stop() {
  stopped_ = true;
  uint64_t one = 1;
  if (stop_.valid()) (void)!::write(stop_.get(), &one, sizeof(one));
}

Status Output::write(std::string_view text) {
  if (text.empty()) return {};
  if (fd_ >= 0) return write_descriptor(text);
  if (stopped_) return base::cancelled_error("the display was let go of");
  int32_t code = function_(text);
  if (code == 0) return {};
  base::Error error;
  error.code = Code::kCancelled;
  error.hop = Hop::kCallback;
  error.message = "the progress callback returned " + std::to_string(code);
  error.user_code = code;
  return Status(std::move(error));
}

Status Output::write_descriptor(std::string_view text) {
  // No more at once than a pipe or terminal that is ready takes without blocking, so that stop()
  // ends it.
  constexpr size_t kPiece = 512;
  NoSigpipe no_sigpipe;
  while (!text.empty()) {
    std::array<pollfd, 2> wait = {{{fd_, POLLOUT, 0}, {stop_.get(), POLLIN, 0}}};
    int ready = ::poll(wait.data(), wait.size(), -1);
    if (ready < 0 && errno != EINTR) return base::errno_error(errno, "cannot wait for the output");
    if (stopped_) return base::cancelled_error("the display was let go of");
    if (ready < 0 || wait[0].revents == 0) continue;
    ssize_t put = ::write(fd_, text.data(), std::min(text.size(), kPiece));
    if (put < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (put < 0) {
      if (errno == EPIPE) no_sigpipe.raised();
      return base::errno_error(errno, "cannot write the progress");
    }
    text.remove_prefix(static_cast<size_t>(put));
  }
  return {};
}

}  // namespace depot::progress

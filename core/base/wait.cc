#include "base/wait.h"

#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>
#include <string>

namespace depot::base {

using std::chrono::milliseconds;
using std::chrono::steady_clock;

Waiter::Waiter(const Cancel& cancel, steady_clock::time_point deadline, Hop hop)
    : cancel_(cancel),
      deadline_(deadline),
      hop_(hop),
      event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  registration_ = cancel_.on_trigger([fd = event_.get()] {
    eventfd_write(fd, 1);  // a failure is EAGAIN: already signalled
  });
}

Result<bool> Waiter::wait(int fd, short events, const char* what, milliseconds at_most) {
  if (!event_.valid()) return errno_error(EMFILE, "cannot make an eventfd");
  auto until = std::min(deadline_, steady_clock::now() + at_most);
  for (;;) {
    if (cancel_.triggered()) return cancelled_error().with_hop(hop_);
    auto now = steady_clock::now();
    auto left = std::chrono::ceil<milliseconds>(until - now).count();
    pollfd fds[2] = {{event_.get(), POLLIN, 0}, {fd, events, 0}};
    int n = ::poll(fds, fd >= 0 ? 2 : 1, static_cast<int>(std::clamp<int64_t>(left, 0, 1 << 30)));
    if (n < 0 && errno != EINTR) return errno_error(errno, what);
    if (n > 0 && fd >= 0 && fds[1].revents != 0) return true;
    if (n > 0 && fds[0].revents != 0) continue;  // reported at the top
    now = steady_clock::now();
    if (now >= deadline_) {
      return Status(Code::kDeadlineExceeded, hop_, std::string("deadline exceeded: ") + what);
    }
    if (now >= until) return false;
  }
}

}  // namespace depot::base

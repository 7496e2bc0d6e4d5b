// Waiting for a file descriptor, a cancel and a deadline at once.
#pragma once

#include <poll.h>

#include <chrono>

#include "base/cancel.h"
#include "base/fd.h"
#include "base/status.h"

namespace depot::base {

class Waiter {
 public:
  // `hop`: of its errors.
  Waiter(const Cancel& cancel, std::chrono::steady_clock::time_point deadline, Hop hop);

  // Until `fd` has one of `events` (ok: true) or `at_most` is over (ok: false). kCancelled or
  // kDeadlineExceeded name `what`. An fd of -1 waits for the rest alone.
  Result<bool> wait(int fd, short events, const char* what,
                    std::chrono::milliseconds at_most = std::chrono::hours(24));

 private:
  Cancel cancel_;
  std::chrono::steady_clock::time_point deadline_;
  Hop hop_;
  UniqueFd event_;
  Cancel::Registration registration_;
};

}  // namespace depot::base

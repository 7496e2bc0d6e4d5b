#include "buildkit/fork_check.h"

#include <unistd.h>

#include <atomic>

namespace depot::buildkit {

base::Status check_process() {
  static std::atomic<pid_t> used_by{0};
  pid_t owner = 0;
  if (used_by.compare_exchange_strong(owner, ::getpid()) || owner == ::getpid()) return {};
  return base::Status(
             base::Code::kFailedPrecondition, base::Hop::kUsage,
             "process " + std::to_string(owner) +
                 " connected to a builder before it forked this one, in which no connection "
                 "works any more")
      .with_hint("build first after fork(), or start the child anew by exec()");
}

}  // namespace depot::buildkit

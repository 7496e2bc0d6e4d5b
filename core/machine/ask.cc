// Machine::ask: what is asked of a machine's builder besides a solve.
#include <algorithm>

#include "machine/machine.h"

namespace depot::machine {

using base::Code;
using base::Hop;
using base::Status;
using Clock = std::chrono::steady_clock;

Status Machine::ask(const WaitOptions& options, const Question& question) {
  const auto began = Clock::now();
  DEPOT_TRY(connect(options));
  std::shared_ptr<buildkit::Channel> channel;
  std::vector<buildkit::Worker> workers;
  {
    std::lock_guard lock(mutex_);
    if (!channel_) return Status(Code::kCancelled, Hop::kUsage, "the machine was released");
    channel = channel_;
    workers = workers_;
  }
  base::Cancel either = options.cancel.child();
  auto gone = gone_.on_trigger([either] { either.trigger(); });
  std::chrono::milliseconds left{0};
  if (options.timeout.count() > 0) {
    auto spent = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - began);
    left = std::max(options.timeout - spent, std::chrono::milliseconds(1));
  }
  Status status = question(*channel, workers, either, left);
  return !status.ok() && gone_.triggered() ? gone_reason() : status;
}

}  // namespace depot::machine

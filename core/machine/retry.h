// A solve that BuildKit's own solver spoilt, made again. Private to the module.
//
// Two errors are known that come of what other builds do at that moment, and that the same build
// does not meet again: the whole of it is solved once more, on the same machine, as Depot's command
// line does. Not when something was used up that there is only once: an archive that was streamed
// to the builder, or bytes of an export that a callback has had.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>
#include <string>

#include "base/environment.h"
#include "base/status.h"
#include "machine/machine.h"

namespace depot::machine {

// The pause before a try.
inline constexpr std::chrono::milliseconds kRetryPause{100};

bool is_passing_error(const base::Status& status);
// DEPOT_BUILDKIT_ERROR_MAX_RETRY_COUNT, else 5; 0 is none, 100 the most.
int most_retries(const base::Environment& environment);

// What there is only once in a request, and whether a solve of it used that. Wraps the request's
// callbacks, and keeps a reference to it.
class Once {
 public:
  explicit Once(solve::Request& request);
  // Why it cannot be solved again; "": it can.
  std::string used() const;

 private:
  const solve::Request& request_;
  const std::shared_ptr<std::atomic<bool>> written_ = std::make_shared<std::atomic<bool>>(false);
};

// Machine::solve_once, and again. The status consumer and the log are told of each. Blocks.
base::Result<solve::Result> solve_with_retries(Machine& machine, const solve::Request& request,
                                               const SolveOptions& options);

}  // namespace depot::machine

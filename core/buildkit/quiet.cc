#include "buildkit/quiet.h"

#include <absl/synchronization/mutex.h>
#include <grpc/support/log.h>

#include <mutex>

#include "base/environment.h"

namespace depot::buildkit {

void quiet_grpc() {
  static std::once_flag once;
  std::call_once(once, [] {
    // Debian's abseil is compiled as for debugging: it keeps book of the order of all of gRPC's
    // locks, which is 3 % of a small build, and off in every other abseil.
    absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
    auto environment = base::Environment::of_process();
    if (environment.get("GRPC_VERBOSITY") || environment.get("GRPC_TRACE")) return;
    gpr_set_log_function([](gpr_log_func_args*) {});
  });
}

}  // namespace depot::buildkit

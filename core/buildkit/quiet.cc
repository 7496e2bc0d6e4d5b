#include "buildkit/quiet.h"

#include <grpc/support/log.h>

#include <mutex>

#include "base/environment.h"

namespace depot::buildkit {

void quiet_grpc() {
  static std::once_flag once;
  std::call_once(once, [] {
    auto environment = base::Environment::of_process();
    if (environment.get("GRPC_VERBOSITY") || environment.get("GRPC_TRACE")) return;
    gpr_set_log_function([](gpr_log_func_args*) {});
  });
}

}  // namespace depot::buildkit

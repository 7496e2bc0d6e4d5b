// The Control service beside Solve, Status and Session (those are solve's): readiness and workers.
#pragma once

#include <chrono>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/status.h"
#include "buildkit/channel.h"

namespace depot::buildkit {

struct Worker {
  std::string id;
  std::map<std::string, std::string> labels;
  std::vector<std::string> platforms;  // "linux/amd64", "linux/arm/v7"; first: native
  std::string buildkit_version;        // "v0.34.2"; empty from old daemons
};

// Asks ListWorkers until it is answered: at once, then after 20 ms, doubling to 500 ms. Errors that
// waiting cannot mend (a certificate that does not verify, Unauthenticated, PermissionDenied) end
// it at once. Blocking; not on the loop thread.
base::Result<std::vector<Worker>> wait_ready(Channel& channel, std::chrono::milliseconds timeout,
                                             const base::Cancel& cancel);

}  // namespace depot::buildkit

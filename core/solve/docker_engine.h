// What the BuildKit inside a Docker Engine makes of a request: its images go to the Engine's store,
// and what that has no room for is an error before anything is sent.
#pragma once

#include <vector>

#include "base/status.h"
#include "buildkit/control.h"
#include "solve/request.h"

namespace depot::solve {

// Whether the Engine's images are containerd's: then its BuildKit can do what any can.
bool has_containerd_store(const std::vector<buildkit::Worker>& workers);

// `ready` (a prepared request that has been through find_stores()) as the Engine takes it.
// kFailedPrecondition for what it cannot do.
base::Result<Request> fit_engine(Request ready, bool containerd_store);

}  // namespace depot::solve

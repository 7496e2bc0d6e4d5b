// Connections belong to the process that made the first: neither their threads nor half-held locks
// survive fork(). Private to buildkit.
#pragma once

#include "base/status.h"

namespace depot::buildkit {

// kFailedPrecondition in a forked child of a process that opened a connection; from the first call
// on the process is one that did. Takes no lock, which a parent's thread may have held. Any thread.
base::Status check_process();

}  // namespace depot::buildkit

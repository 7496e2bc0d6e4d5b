// Where the files of a build come from. Private to the module.
#pragma once

#include "base/status.h"
#include "solve/request.h"

namespace depot::solve {

// Part of prepare(): what a request says of its context becomes local dirs and attributes, which
// exist and can be read as far as that is ours to see.
base::Status prepare_context(Request& request);

}  // namespace depot::solve

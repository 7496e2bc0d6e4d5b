// Where the files of a build come from. Private to the module.
#pragma once

#include "base/status.h"
#include "solve/request.h"

namespace depot::solve {

// Part of prepare(): what a request says of its context becomes local dirs and attributes, which
// exist and can be read as far as that is ours to see. Without a Dockerfile it is not looked for.
base::Status prepare_context(Request& request, const Waiting& waiting, bool with_dockerfile = true);

}  // namespace depot::solve

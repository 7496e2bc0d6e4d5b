// What a request needs of its builder beyond the oldest one, and what came with which version.
//
// An older daemon does not refuse what it does not know: it ignores it, and the build succeeds
// without. So a request that needs more than the oldest is held against the version that the
// daemon tells with its workers. What a daemon or frontend does refuse by itself is left to it.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "buildkit/control.h"
#include "buildkit/version.h"
#include "solve/request.h"

namespace depot::solve {

struct Need {
  std::string feature;      // as the user asked for it: "two or more exports", "hostname"
  buildkit::Version since;  // of BuildKit
  std::string_view hint;    // what to do on an older one; empty: update it
};

// Of a request that has been through prepare(). Empty: any builder will do.
std::vector<Need> needs(const Request& request);

// An error of hop machine for the first need that a builder with these workers does not meet.
base::Status check_builder(const std::vector<Need>& needs,
                           const std::vector<buildkit::Worker>& workers);

}  // namespace depot::solve

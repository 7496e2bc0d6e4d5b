// One build on several machines: each is acquired and solves its part, side by side; what they
// pushed is joined. Private to the module.
//
// The first that fails ends the others, and the error says what it was to build. The caller's
// functions (status, logins, secrets) are called on the caller's thread, one at a time, as those of
// a single solve. A machine is released as soon as its part is made.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "machine/build.h"
#include "machine/machine.h"
#include "machine/nodes.h"

namespace depot::machine {

// One of them, which may have been acquired already.
struct Part {
  Share share;
  std::shared_ptr<Machine> machine;
};

// Connects the machines of all nodes side by side, so that they tell what they build; the first
// that cannot be had ends the others. `machines`: by node.
base::Status connect_all(const std::shared_ptr<Build>& build, const WaitOptions& options,
                         std::vector<std::shared_ptr<Machine>>& machines);

// Blocks. `request` was not prepared; `ready` is the same, prepared. options.timeout covers it all.
base::Result<solve::Result> solve_parts(const std::shared_ptr<Build>& build,
                                        const solve::Request& request, const solve::Request& ready,
                                        std::vector<Part> parts, const SolveOptions& options);

}  // namespace depot::machine

// What the calls that tell a status share.
#pragma once

#include <memory>

#include "depot/solve.h"
#include "handles.h"

namespace depot::capi {

// Takes user_data over at once: a call lets go of it before it returns, whatever happens.
struct SolveArguments {
  std::shared_ptr<UserData> data;
  machine::SolveOptions options;
};

base::Status read_solve_options(const depot_solve_options* options, SolveArguments& out);

}  // namespace depot::capi

// A step of ours among those of a builder, as its status batches tell them.
#pragma once

#include <chrono>
#include <string>

#include "solve/events.h"

namespace depot::solve {

struct OwnStep {
  std::string digest;
  std::string name;
  std::chrono::system_clock::time_point started;
};
OwnStep begin_step(std::string name);
Event step_begun(const OwnStep& step);
// `error`: why it failed; "": it did not.
Event step_ended(const OwnStep& step, const std::string& error);

}  // namespace depot::solve

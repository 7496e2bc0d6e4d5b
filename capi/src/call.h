// What a result keeps of a call's answer in the form that C reads.
#pragma once

#include <string>
#include <vector>

#include "depot/error.h"
#include "solve/call.h"

namespace depot::capi {

struct CallView {
  std::string text, error;
  // Of each entry.
  std::vector<std::vector<depot_range>> lint, outline, targets;
};

CallView view_of(const solve::CallAnswer& answer);

}  // namespace depot::capi

// One CSV record as Go's encoding/csv reads it: what `--output` and its like are written in.
#pragma once

#include <string>
#include <vector>

#include "base/status.h"

namespace depot::solve {

base::Result<std::vector<std::string>> parse_csv(const std::string& line);

}  // namespace depot::solve

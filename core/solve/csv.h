// One CSV record as Go's encoding/csv reads it: what `--output` and its like are written in.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace depot::solve {

// `shown` stands for the line in errors, for one that may hold a secret.
base::Result<std::vector<std::string>> parse_csv(std::string_view line,
                                                 const std::string& shown = {});

}  // namespace depot::solve

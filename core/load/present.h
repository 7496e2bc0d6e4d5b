// Which of an image's layers a Docker Engine has.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "load/archive.h"
#include "load/loader.h"

namespace depot::load {

// How many of its layers, from the first on. `names`: canonical, under which it will be known. It
// does not look at every image of an Engine that has hundreds. Blocks.
base::Result<size_t> layers_present(const Target& target, const Options& options,
                                    const Image& image, const std::vector<std::string>& names,
                                    const base::Cancel& cancel,
                                    std::chrono::steady_clock::time_point deadline);

}  // namespace depot::load

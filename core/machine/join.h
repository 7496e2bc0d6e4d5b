// What several machines pushed by digest becomes one image: its index is made here and pushed under
// every name. Private to the module.
#pragma once

#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/status.h"
#include "registry/manifests.h"
#include "solve/index_merge.h"
#include "solve/parts.h"

namespace depot::machine {

// Blocks. `descriptors`: JSON, of what each machine pushed. All names are tried: an error says
// which were not pushed, and which were.
base::Result<solve::MergedIndex> join(registry::Manifests& manifests,
                                      const solve::JoinedImage& image,
                                      const std::vector<std::string>& descriptors,
                                      const base::Cancel& cancel);

}  // namespace depot::machine

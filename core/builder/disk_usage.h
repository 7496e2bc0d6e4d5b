// What a builder's cache holds, and removing of it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "builder/ask.h"
#include "builder/filters.h"

namespace depot::builder {

// One record of the cache.
struct UsageRecord {
  std::string id;
  std::string type;         // "regular", "source.local", "exec.cachemount", "frontend", ...
  std::string description;  // what made it
  std::vector<std::string> parents;
  int64_t size = 0;                    // bytes
  int64_t created = 0, last_used = 0;  // nanoseconds since 1970 by the builder's clock; 0: never
  int64_t usage_count = 0;
  bool in_use = false;  // and so not reclaimable
  bool is_mutable = false, shared = false;
};

// Sorted by size, then id, as all tools list them. `filters.older_than`: since 0.22, on older ones
// kFailedPrecondition.
base::Result<std::vector<UsageRecord>> disk_usage(buildkit::Channel& channel,
                                                  const std::vector<buildkit::Worker>& workers,
                                                  const Filters& filters, const Ask& how);

struct PruneOptions {
  Filters filters;   // `older_than`: what was used within that time is kept
  bool all = false;  // internal records and those of frontends, too
  // Bytes; 0: not asked for. The last two since 0.17, on older ones kFailedPrecondition.
  int64_t reserved_space = 0;  // always allowed to keep
  int64_t max_used_space = 0;  // kept at most
  int64_t min_free_space = 0;  // of the disk, to be free afterwards
};

struct Pruned {
  int64_t count = 0, bytes = 0;
};

// Each record that was removed, in order, on the thread that called. What is not ok ends it: what
// was removed stays so.
using OnPruned = std::function<base::Status(const UsageRecord&)>;
base::Result<Pruned> prune(buildkit::Channel& channel, const std::vector<buildkit::Worker>& workers,
                           const PruneOptions& options, const OnPruned& on_pruned, const Ask& how);

}  // namespace depot::builder

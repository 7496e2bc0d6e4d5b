// Who does a builder's work, and which BuildKit it is.
#pragma once

#include <chrono>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "builder/ask.h"

namespace depot::builder {

// What a BuildKit says it is; empty where it says nothing.
struct BuildkitVersion {
  std::string package, version, revision;
  std::string dockerfile;  // of its built-in frontend; since 0.30
};

// A rule by which a worker cleans up by itself. Sizes in bytes, 0: no limit.
struct GcPolicy {
  bool all = false;
  std::chrono::nanoseconds keep_duration{0};
  int64_t reserved_space = 0, max_used_space = 0, min_free_space = 0;
  std::vector<std::string> filters;
};

struct Device {
  std::string name;
  bool auto_allow = false, on_demand = false;
  std::map<std::string, std::string> annotations;
};

struct WorkerInfo {
  std::string id;
  std::map<std::string, std::string> labels;
  std::vector<std::string> platforms;  // "linux/amd64", the native one first
  BuildkitVersion buildkit;            // since 0.11
  std::vector<GcPolicy> gc_policies;
  std::vector<Device> devices;  // CDI; since 0.20
};

// `filters`: containerd's syntax, as those of `buildctl debug workers`.
base::Result<std::vector<WorkerInfo>> list_workers(buildkit::Channel& channel,
                                                   const std::vector<std::string>& filters,
                                                   const Ask& how);
// Since 0.11; kFailedPrecondition from an older one.
base::Result<BuildkitVersion> info(buildkit::Channel& channel, const Ask& how);

}  // namespace depot::builder

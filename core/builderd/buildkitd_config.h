// The buildkitd.toml of a machine.
#pragma once

#include <string>

namespace depot::builderd {

struct BuildkitdConfig {
  std::string root;         // buildkitd's own state: the cache
  std::string private_dir;  // where process 1 of the machine put the TLS files
  std::string runc;
  std::string snapshotter;    // "overlayfs" or "native"
  std::string platform;       // "linux/arm64" for a foreign machine; empty: what the host can run
  std::string cgroup_parent;  // one folder, so that what a kill leaves can be found
};

std::string render_config(const BuildkitdConfig& config);

}  // namespace depot::builderd

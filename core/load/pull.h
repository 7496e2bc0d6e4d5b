// An image out of a registry into a Docker Engine, which fetches it itself.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/secret.h"
#include "base/status.h"
#include "load/loader.h"

namespace depot::load {

struct Pull {
  std::string reference;  // canonical: host/repository:tag
  std::string username;   // "": no login
  base::Secret password;
  std::string platform;           // "linux/arm64"; "": the Engine's own
  std::vector<std::string> tags;  // canonical names that it gets besides
};

// Blocks. Of `options` on_progress is told, on this thread. A target that is a program is a usage
// error.
base::Status pull(const Target& target, const Options& options, const Pull& what,
                  const base::Cancel& cancel, std::chrono::steady_clock::time_point deadline);

}  // namespace depot::load

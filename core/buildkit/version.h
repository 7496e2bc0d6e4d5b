// BuildKit's version, as a daemon tells it with its workers.
#pragma once

#include <compare>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace depot::buildkit {

struct Worker;

struct Version {
  int major = 0;
  int minor = 0;
  auto operator<=>(const Version&) const = default;
  std::string text() const;  // "0.13"
};

// The oldest of the workers' versions. 0.0 for a daemon that tells none: it is from before 0.11.
// A version that is no number, or 0.0, is of somebody's own build: taken for newer than all.
Version oldest_version(const std::vector<Worker>& workers);

// ok if the workers' BuildKit is of version `since` at least; else kFailedPrecondition, which names
// both. `hint` empty: to use a newer one.
base::Status check_version(const std::string& feature, const Version& since,
                           const std::vector<Worker>& workers, std::string_view hint = {});

}  // namespace depot::buildkit

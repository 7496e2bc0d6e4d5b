// Platforms as containerd writes them: "linux/arm64", "aarch64", "windows(10.0.17763)/amd64".
#pragma once

#include <string>

#include "base/status.h"

namespace depot::solve {

// One platform in its normal form, with operating system, architecture and variant: "x86_64" is
// "linux/amd64". "local" is this computer's.
base::Result<std::string> canonical_platform(const std::string& specifier);
// The same for a comma list, as `--platform` and the frontend have it.
base::Result<std::string> canonical_platforms(const std::string& list);

}  // namespace depot::solve

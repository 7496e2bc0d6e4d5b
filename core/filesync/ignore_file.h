// .dockerignore as BuildKit's frontends read it (protocol.md 5.1).
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace depot::filesync {

// The patterns of an ignore file, in order, as PatternMatcher takes them. Fails on a line of 64 KiB
// or more. A lone "!" is kept and fails in PatternMatcher.
base::Result<std::vector<std::string>> parse_ignore_file(std::string_view text);

}  // namespace depot::filesync

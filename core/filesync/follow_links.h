// Turns the daemon's "followpaths" into include patterns: each path with the symlinks on its way,
// their targets, and so on, all within the root (protocol.md 4.4).
#pragma once

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "base/status.h"
#include "filesync/root_dir.h"

namespace depot::filesync {

class VirtualTree;

// Sorted patterns, children of listed paths left out; nullopt if one is the root itself, which
// means no filter. `root` null: no directory, and so no symlinks; what `overlay` has is none.
base::Result<std::optional<std::vector<std::string>>> follow_links(
    const RootDir* root, std::span<const std::string> paths, const VirtualTree* overlay = nullptr);

// Leaves out paths below the one before them; nullopt if one is ".". Expects a sorted list, and
// has upstream's way with others.
std::optional<std::vector<std::string>> dedupe_paths(std::vector<std::string> paths);

}  // namespace depot::filesync

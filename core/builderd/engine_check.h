// What must hold before a machine may start: a BuildKit that is new enough, and overlayfs on the
// state directory.
#pragma once

#include <array>
#include <chrono>
#include <optional>
#include <string>
#include <string_view>

#include "base/cancel.h"
#include "base/status.h"

namespace depot::builderd {

using Version = std::array<int, 3>;

// 0.12.5 is the first release without CVE-2024-23651, -23652 and -23653 (files of the host read and
// deleted by a build, entitlements not checked).
inline constexpr Version kOldestBuildkit = {0, 12, 5};

// The first "v1.2.3" or "1.2.3" in `text`, unless it is the 0.0.0 of an unstamped build.
std::optional<Version> parse_version(std::string_view text);
std::string format_version(const Version& version);

// Asks `path --version`; for a binary that was compiled without a version, what Go noted in it
// about its modules. kFailedPrecondition if older than kOldestBuildkit or unknown.
base::Result<Version> check_buildkitd(const std::string& path, const base::Cancel& cancel,
                                      std::chrono::steady_clock::time_point deadline);

// Mounts an overlay below `directory` in a short-lived process and mount namespace of its own, and
// deletes a file through it (layers need whiteouts). kFailedPrecondition says why it failed.
base::Status check_overlayfs(const std::string& directory);

// True if the kernel can start programs of `architecture` ("amd64", "arm64") here.
bool can_run(std::string_view architecture);
// "amd64" or "arm64"; empty on others.
std::string_view native_architecture();

}  // namespace depot::builderd

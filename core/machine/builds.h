// What the API knows of builds: the list of a project's, and how images that were saved are pulled.
//
// All block. With a plain address nobody keeps such a list, and only Depot saves images:
// kFailedPrecondition, before anything is asked or started.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/status.h"
#include "depotapi/build_api.h"
#include "machine/client.h"

namespace depot::machine {

struct BuildsOptions {
  std::string project, token;  // "": the client's
  std::string context_dir;     // where to look for depot.json; "": the current directory
  base::Cancel cancel = base::Cancel::never();
  std::chrono::milliseconds timeout{30000};  // of it all
};

// The newest `limit`, the newest first; 0: kBuildsByDefault. More than kMostBuilds is a usage
// error.
inline constexpr size_t kBuildsByDefault = 100, kMostBuilds = 100000;
base::Result<std::vector<depotapi::ListedBuild>> list_builds(const Client& client, size_t limit,
                                                             const BuildsOptions& options);

// kFailedPrecondition for a build that saved nothing.
base::Result<depotapi::PullInfo> pull_info(const Client& client, const std::string& build_id,
                                           const BuildsOptions& options);
// For all that the project saved: a login, and the name of its repository as the reference.
base::Result<depotapi::PullInfo> pull_token(const Client& client, const BuildsOptions& options);

}  // namespace depot::machine

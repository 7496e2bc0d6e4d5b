// The projects' directories below the state directory: STATE/projects/PROJECT/ARCHITECTURE.
//
// A project's cache goes by one rename to a hidden name beside it (set_aside), which nothing can
// interrupt halfway, and is removed under that name at leisure; what a crash leaves of it is found
// by its name (remove_aside).
//
// Threads: any. Who changes something has the daemon's lock of the state directory, but for
// remove_aside, which many may do at once.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/status.h"
#include "localbuilder/books.h"

namespace depot::localbuilder {

// Where a machine of the project keeps its cache.
std::string project_dir(const std::string& state_dir, const std::string& project);

// Those on the disk (or `only` that one), sorted, with their machines, all of them stopped; without
// sizes. None when there is no state directory.
base::Result<std::vector<Project>> read_projects(const std::string& state_dir,
                                                 const std::optional<std::string>& only);

// Fills in the sizes, until the deadline or `cancel`.
void count_caches(const std::string& state_dir, std::vector<Project>& projects,
                  const base::Cancel& cancel, std::chrono::steady_clock::time_point deadline);

// Notes that the project's machine is used now: its directory's time.
void note_use(const std::string& machine_dir);

// The project has no cache any more; what it had is called so, beside it. kNotFound without one.
base::Result<std::string> set_aside(const std::string& state_dir, const std::string& project);

base::Status no_cache_of(const std::string& project);  // kNotFound

// Removes what set_aside() named, in bytes.
base::Result<int64_t> remove_aside(const std::string& state_dir, const std::string& name,
                                   const base::Cancel& cancel,
                                   std::chrono::steady_clock::time_point deadline);

// The names that earlier ones left.
std::vector<std::string> find_aside(const std::string& state_dir);

}  // namespace depot::localbuilder

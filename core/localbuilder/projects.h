// The local builder's books for its clients: list, stop, reset. By the daemon where one runs; else
// from the disk. Neither the daemon nor a machine is ever started for it.
//
// Threads: any; all block, with a deadline and a cancel.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/status.h"
#include "localbuilder/books.h"
#include "localbuilder/launcher.h"

namespace depot::localbuilder {

struct BooksOptions {
  LaunchOptions launch;                // where things are; nothing is launched
  std::optional<std::string> project;  // nullopt: all
  bool force = false;                  // also what builds hold: they fail
  base::Cancel cancel = base::Cancel::never();
  std::chrono::steady_clock::time_point deadline;
};

// Sorted by id. Sizes that take too long are told as far as they were counted.
base::Result<std::vector<Project>> list_projects(const BooksOptions& options);

// Stops the machines and waits for their end; how many there were. kFailedPrecondition when builds
// hold one and `force` is not set: then none is stopped. Without a daemon there are none.
base::Result<int64_t> stop_machines(const BooksOptions& options);

// Stops the project's machines and removes its cache; the bytes that were freed.
// kFailedPrecondition when builds hold a machine and `force` is not set; kNotFound without such a
// project. What a deadline, a cancel or a crash leaves of the removal is removed by the daemon, at
// the latest when it starts the next time; the project has no cache from the beginning of it on.
base::Result<int64_t> reset_project(const BooksOptions& options);

}  // namespace depot::localbuilder

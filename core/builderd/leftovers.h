// What a killed daemon or machine may leave on the host, and its removal.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <string>

#include "base/cancel.h"
#include "base/log.h"
#include "base/status.h"

namespace depot::builderd {

// When a process started, in clock ticks since boot (with its pid: its identity); 0 if there is no
// such process, or it is a zombie.
uint64_t start_time_of(pid_t pid);

// Kills the process if it still is the one that started then, and waits for its end.
base::Status kill_leftover(pid_t pid, uint64_t start_time, std::chrono::milliseconds patience);

// Removes what resets of projects left in the state directory (localbuilder/project_dirs.h), until
// `cancel`. Blocks as long as that takes.
void remove_set_aside(const std::string& state_dir, const base::Cancel& cancel,
                      const base::LogSink& log);

// Removes the control groups `name` and below, in every hierarchy. Only empty ones go; a few of
// them staying is no error.
void remove_cgroups(const std::string& name);

}  // namespace depot::builderd

// Starts the daemon as a process that is nobody's child and waits until it says it is ready.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/environment.h"
#include "base/status.h"

namespace depot::localbuilder {

// The descriptor on which a started daemon finds the write end of the readiness pipe. It writes
// "ready\n", or "error <code> <message>\n" and maybe "hint <text>\n", and closes it.
inline constexpr int kReadyFd = 3;

// Runs `path` with `arguments` and "--detach --ready-fd 3": own session, null stdin, stdout and
// stderr appended to `log_path`, default signal handling. The program forks at once and its first
// process ends, which is waited for here, so that the host never gets a child it does not know.
base::Status spawn_daemon(const std::string& path, const std::vector<std::string>& arguments,
                          const base::Environment& environment, const std::string& log_path,
                          const base::Cancel& cancel,
                          std::chrono::steady_clock::time_point deadline);

// What of `environment` a daemon gets to see.
std::vector<std::string> daemon_environment(const base::Environment& environment);

}  // namespace depot::localbuilder

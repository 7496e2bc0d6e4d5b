// Runs one short-lived program: input in, bounded output out, nothing left behind.
//
// The program gets a process group of its own, default signals, the given environment and no
// descriptors but 0, 1 and 2. When the deadline passes, the caller cancels or it prints too much,
// the whole group is killed. It is always reaped before run_process returns, through its pidfd, so
// that no other child of the host is touched. Linux 5.4 or later. Private to the module.
#pragma once

#include <chrono>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/environment.h"
#include "base/secret.h"
#include "base/status.h"

namespace depot::registry {

struct Process {
  std::vector<std::string> arguments;  // the first is the absolute path of the program
  std::string input;                   // its whole stdin, 4096 bytes at most
  size_t max_output = 64 << 10;        // of stdout; more is an error
  size_t max_errors = 4 << 10;         // of stderr; the rest is read and dropped
};

struct ProcessOutput {
  int exit_code = 0;  // -1: ended by `signal`; 0 also when the host reaped it before we could
  int signal = 0;
  base::Secret output;
  base::Secret errors;
};

// Blocks. kDeadlineExceeded, kCancelled, kResourceExhausted (too much output), or the errno of
// starting it, all Hop::kHelper.
base::Result<ProcessOutput> run_process(const Process& process,
                                        const base::Environment& environment,
                                        const base::Cancel& cancel,
                                        std::chrono::milliseconds timeout);

}  // namespace depot::registry

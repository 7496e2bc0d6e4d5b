// localbuilder: finds the local builder daemon and sees to it that one is running.
//
// The daemon (libdepot-builderd) is a Depot-compatible control plane of ours on a Unix socket. It
// is linked into no client: this module starts it as a process of its own that survives the client
// and ends by itself when it has had nothing to do for a while.
//
// Invariants
//  - One daemon per runtime directory. Starting happens under a file lock, and the daemon holds a
//    lock of its own for as long as it lives, so processes that start it at once share one.
//  - The runtime directory is ours, mode 0700 and no symlink, and the daemon at the socket runs as
//    our user: nobody else can stand in for it.
//  - Readiness is told by the daemon through a pipe; nothing here polls.
//  - The daemon inherits no file descriptor, signal mask or secret of the client: of the
//  environment
//    it gets names on a list (search paths, proxies, locale, LIBDEPOT_*).
//
// Threads: every function may be called from any thread; all block, with a deadline and a cancel.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>

#include "base/cancel.h"
#include "base/environment.h"
#include "base/log.h"
#include "base/status.h"

namespace depot::localbuilder {

// Everything may be left empty: then it is searched for (locate.h has the orders).
struct LaunchOptions {
  std::string builderd_path;  // the daemon's executable; else LIBDEPOT_BUILDERD, else the search
  std::string engine_dir;     // folder of buildkitd and runc; else LIBDEPOT_ENGINE_DIR, else search
  std::string state_dir;    // caches and records; else LIBDEPOT_STATE_DIR, else the user's default
  std::string runtime_dir;  // socket and locks; else LIBDEPOT_RUNTIME_DIR, else the default
  // How long a machine stays after its last build; nullopt: the daemon's default (two minutes).
  // Counts only if this call starts the daemon.
  std::optional<std::chrono::seconds> idle_timeout;
  base::Environment environment;
  base::LogSink log;
};

// Makes sure that a daemon runs and returns its Unix socket's path; "unix://" + path is the API
// URL. An older daemon of another protocol is replaced when idle, else kFailedPrecondition. Errors
// are Hop::kBuilder (what is missing, and where it was looked for); kCancelled; kDeadlineExceeded.
base::Result<std::string> ensure_running(const LaunchOptions& options, const base::Cancel& cancel,
                                         std::chrono::steady_clock::time_point deadline);

// The running daemon's socket path, or nullopt: never starts anything. kFailedPrecondition: it is
// of another protocol.
base::Result<std::optional<std::string>> find_running(
    const LaunchOptions& options, const base::Cancel& cancel,
    std::chrono::steady_clock::time_point deadline);

}  // namespace depot::localbuilder

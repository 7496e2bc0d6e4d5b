// machine_init: process 1 of a machine.
//
// A machine's buildkitd, its runc processes and its build containers live in a PID and a mount
// namespace of their own, whose process 1 is this small supervisor. When it goes, the kernel kills
// everything in the namespace and drops its mounts: a machine cannot leave a process or a mount
// behind, however it or the daemon ends. It goes when buildkitd does, when the daemon's end of the
// control socket closes, and (parent death signal) when the daemon is killed.
//
// The TLS key is a file in a tmpfs that only this mount namespace has; runc's state is one too.
#pragma once

#include <sys/types.h>

#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/secret.h"
#include "base/status.h"

namespace depot::builderd {

inline constexpr int kMachineListenFd = 3;
inline constexpr int kMachineControlFd = 4;

// What process 1 is told over the control socket before it starts anything.
struct MachineSetup {
  std::string private_dir;  // an existing directory: mount point of the private tmpfs
  std::string buildkitd;
  std::string config;  // text of buildkitd.toml
  std::string server_certificate;
  base::Secret server_key;
  std::string ca_certificate;
  std::vector<std::string> environment;
};

// One packet; empty on failure of decode.
base::Secret encode_setup(const MachineSetup& setup);
base::Result<MachineSetup> decode_setup(std::string_view bytes);

// Messages from process 1, one a packet: "ready", "exit <text>", "error <text>".
// To it: the setup, then "stop" (SIGTERM to buildkitd), any number of times.

// Starts process 1 in new namespaces by executing this very program with "--machine-init".
// `output` becomes its stdout and stderr. The child dies with the calling thread.
base::Result<pid_t> spawn_machine_init(int listen_fd, int control_fd, int output_fd);

// The program's main for "--machine-init"; never returns to the caller's code in the parent.
int machine_init_main();

}  // namespace depot::builderd

// Where things are: the daemon's executable, the engine's, the runtime and the state directory.
#pragma once

#include <sys/types.h>

#include <string>
#include <vector>

#include "base/environment.h"
#include "base/status.h"

namespace depot::localbuilder {

// The socket, lock and directory names that launcher and daemon agree on.
inline constexpr char kSocketName[] = "builderd.sock";
inline constexpr char kLaunchLockName[] = "launch.lock";
inline constexpr char kDaemonLockName[] = "builderd.lock";
inline constexpr char kBuilderdName[] = "libdepot-builderd";

struct Engine {
  std::string buildkitd;
  std::string runc;
};

// The folder of the shared library (or executable) that this code is in; empty if unknown.
std::string own_folder();

// Order: `explicit_path`, LIBDEPOT_BUILDERD, beside the library (its folder, ../libexec/libdepot,
// ../libexec, ../bin), $PATH. An explicit one that is no executable is an error, not passed over.
base::Result<std::string> find_builderd(const std::string& explicit_path,
                                        const base::Environment& environment,
                                        const std::string& library_folder = own_folder());

// buildkitd and runc, each by itself. Order: `explicit_dir`, LIBDEPOT_ENGINE_DIR (each the folder
// itself or its bin), beside the library, $PATH, ${XDG_CACHE_HOME:-~/.cache}/libdepot/engine/
// current/bin. runc is looked for beside the buildkitd that was found first. An explicit folder
// without buildkitd is an error.
base::Result<Engine> find_engine(const std::string& explicit_dir,
                                 const base::Environment& environment,
                                 const std::string& library_folder = own_folder());

// ${LIBDEPOT_RUNTIME_DIR}, /run/libdepot-0 for root, ${XDG_RUNTIME_DIR}/libdepot, else
// /tmp/libdepot-<uid>.
std::string default_runtime_dir(const base::Environment& environment, uid_t uid);
// ${LIBDEPOT_STATE_DIR}, /var/lib/libdepot for root, else
// ${XDG_STATE_HOME:-~/.local/state}/libdepot.
base::Result<std::string> default_state_dir(const base::Environment& environment, uid_t uid);

// Makes `path` if it is missing (0700; parents 0755) and refuses it unless it is a real directory,
// owned by us, that nobody else may enter: a planted directory or symlink would hand our socket to
// another user.
base::Status prepare_private_dir(const std::string& path);

// ok for root; else kFailedPrecondition naming what is missing.
base::Status check_privileges(uid_t effective_uid);

}  // namespace depot::localbuilder

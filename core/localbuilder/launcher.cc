#include "localbuilder/launcher.h"

#include <unistd.h>

#include <algorithm>
#include <string>
#include <vector>

#include "localbuilder/file_lock.h"
#include "localbuilder/handshake.h"
#include "localbuilder/locate.h"
#include "localbuilder/spawn.h"

namespace depot::localbuilder {

using base::Cancel;
using base::Code;
using base::Hop;
using base::LogLevel;
using base::Result;
using base::Status;
using std::chrono::steady_clock;

namespace {

std::string runtime_dir_of(const LaunchOptions& options) {
  return options.runtime_dir.empty() ? default_runtime_dir(options.environment, ::geteuid())
                                     : options.runtime_dir;
}

enum class Fit { kGood, kTooOld, kTooNew };

Fit fit_of(const Hello& hello) {
  if (hello.protocol < kProtocol) return Fit::kTooOld;
  return hello.oldest > kProtocol ? Fit::kTooNew : Fit::kGood;
}

Status misfit(const Hello& hello, std::string hint) {
  return Status(Code::kFailedPrecondition, Hop::kBuilder,
                "the running local builder (version " + hello.version + ") speaks protocol " +
                    std::to_string(hello.protocol) + ", this library speaks " +
                    std::to_string(kProtocol))
      .with_hint(std::move(hint));
}

bool means_not_there(const Status& status) {
  return status.code() == Code::kNotFound || status.code() == Code::kUnavailable;
}

Result<std::vector<std::string>> arguments_of(const LaunchOptions& options,
                                              const std::string& runtime_dir,
                                              const std::string& state_dir) {
  DEPOT_ASSIGN(Engine engine, find_engine(options.engine_dir, options.environment));
  std::vector<std::string> arguments = {"--runtime-dir", runtime_dir,   "--state-dir",
                                        state_dir,       "--buildkitd", engine.buildkitd,
                                        "--runc",        engine.runc};
  if (options.idle_timeout) {
    arguments.insert(arguments.end(),
                     {"--idle-timeout", std::to_string(options.idle_timeout->count())});
  }
  return arguments;
}

Status start(const LaunchOptions& options, const std::string& runtime_dir, const Cancel& cancel,
             steady_clock::time_point deadline) {
  DEPOT_TRY(check_privileges(::geteuid()));
  std::string state_dir = options.state_dir;
  if (state_dir.empty()) {
    DEPOT_ASSIGN(state_dir, default_state_dir(options.environment, ::geteuid()));
  }
  DEPOT_ASSIGN(std::string builderd, find_builderd(options.builderd_path, options.environment));
  DEPOT_ASSIGN(auto arguments, arguments_of(options, runtime_dir, state_dir));
  DEPOT_TRY(prepare_private_dir(state_dir));
  base::log(options.log, LogLevel::kInfo, "starting the local builder: " + builderd);
  return spawn_daemon(builderd, arguments, options.environment, state_dir + "/builderd.out", cancel,
                      deadline);
}

}  // namespace

Result<std::string> ensure_running(const LaunchOptions& options, const Cancel& cancel,
                                   steady_clock::time_point deadline) {
  std::string runtime_dir = runtime_dir_of(options);
  DEPOT_TRY(prepare_private_dir(runtime_dir));
  std::string socket = runtime_dir + "/" + kSocketName;

  auto hello = say_hello(socket, cancel, deadline);
  if (hello.ok() && fit_of(*hello) == Fit::kGood) return socket;
  if (!hello.ok() && !means_not_there(hello.status())) return hello.status();

  DEPOT_ASSIGN(FileLock lock,
               FileLock::acquire(runtime_dir + "/" + kLaunchLockName, cancel, deadline));
  // Who had the lock before us may have started one.
  hello = say_hello(socket, cancel, deadline);
  if (hello.ok()) {
    switch (fit_of(*hello)) {
      case Fit::kGood:
        return socket;
      case Fit::kTooNew:
        return misfit(*hello, "update this library, or wait until that builder has ended");
      case Fit::kTooOld:
        break;
    }
    base::log(options.log, LogLevel::kInfo,
              "replacing the local builder of version " + hello->version);
    DEPOT_ASSIGN(bool retired, ask_to_retire(socket, cancel, deadline));
    if (!retired) return misfit(*hello, "its builds must end first");
  } else if (!means_not_there(hello.status())) {
    return hello.status();
  }
  DEPOT_TRY(start(options, runtime_dir, cancel, deadline));
  return socket;
}

Result<std::optional<std::string>> find_running(const LaunchOptions& options, const Cancel& cancel,
                                                steady_clock::time_point deadline) {
  std::string socket = runtime_dir_of(options) + "/" + kSocketName;
  auto hello = say_hello(socket, cancel, deadline);
  if (hello.ok()) {
    if (fit_of(*hello) != Fit::kGood) return misfit(*hello, "use them in one version");
    return std::optional<std::string>(std::move(socket));
  }
  if (means_not_there(hello.status())) return std::optional<std::string>();
  return hello.status();
}

}  // namespace depot::localbuilder

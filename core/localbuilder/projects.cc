#include "localbuilder/projects.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <algorithm>

#include "base/fd.h"
#include "localbuilder/file_lock.h"
#include "localbuilder/locate.h"
#include "localbuilder/project_dirs.h"
#include "localbuilder/talk.h"

namespace depot::localbuilder {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;
using std::chrono::milliseconds;
using std::chrono::steady_clock;

namespace {

constexpr size_t kMaxAnswer = 64 << 20;
// Between two looks whether who has the state directory has gone, or answers.
constexpr milliseconds kLook{100};

Result<std::string> state_dir_of(const LaunchOptions& launch) {
  if (!launch.state_dir.empty()) return launch.state_dir;
  return default_state_dir(launch.environment, ::geteuid());
}

Status check(const BooksOptions& options) {
  if (options.project && !good_project(*options.project)) return bad_project();
  return base::ok_status();
}

// Of the time until the deadline: a tenth of it is for the answer's way.
milliseconds patience_of(const BooksOptions& options) {
  auto left = std::chrono::duration_cast<milliseconds>(options.deadline - steady_clock::now());
  return std::max(left - left / 10, milliseconds(1));
}

// nullopt: no daemon runs.
Result<std::optional<std::string>> ask_daemon(const BooksOptions& options, const char* path) {
  DEPOT_ASSIGN(auto socket, find_running(options.launch, options.cancel, options.deadline));
  if (!socket) return std::optional<std::string>();
  std::string body = format_question({options.project, options.force, patience_of(options)});
  auto answer =
      exchange(*socket, {"POST", path, body, kMaxAnswer}, options.cancel, options.deadline);
  // It ended between the two questions: nothing was done.
  if (answer.status().code() == Code::kNotFound) return std::optional<std::string>();
  if (!answer.ok()) return answer.status();
  if (answer->status != 200) return parse_error(answer->status, answer->body);
  return std::optional<std::string>(std::move(answer->body));
}

// Whether some daemon has the state directory, without making anything there.
bool in_use(const std::string& state_dir) {
  base::UniqueFd fd(
      ::open((state_dir + "/" + kDaemonLockName).c_str(), O_RDONLY | O_CLOEXEC | O_NOFOLLOW));
  return fd.valid() && ::flock(fd.get(), LOCK_SH | LOCK_NB) != 0 && errno == EWOULDBLOCK;
}

Result<std::vector<Project>> list_from_disk(const BooksOptions& options) {
  DEPOT_ASSIGN(std::string state_dir, state_dir_of(options.launch));
  DEPOT_ASSIGN(auto projects, read_projects(state_dir, options.project));
  // By one that just starts or ends, or that is of another runtime directory.
  if (in_use(state_dir)) {
    for (Project& project : projects) {
      for (ProjectMachine& machine : project.machines) machine.state = MachineState::kUnknown;
    }
  }
  count_caches(state_dir, projects, options.cancel, steady_clock::now() + patience_of(options));
  if (options.cancel.triggered()) return base::cancelled_error();
  return projects;
}

// Under the daemon's lock, held for the rename alone; nullopt: somebody has it.
Result<std::optional<std::string>> try_set_aside(const std::string& state_dir,
                                                 const std::string& project) {
  auto lock = FileLock::try_acquire(state_dir + "/" + kDaemonLockName);
  // There is no state directory, and none is made to say so.
  if (lock.status().code() == Code::kNotFound) return no_cache_of(project);
  if (!lock.ok()) return lock.status().with_hop(Hop::kBuilder);
  if (!*lock) return std::optional<std::string>();
  DEPOT_ASSIGN(std::string aside, set_aside(state_dir, project));
  return std::optional<std::string>(std::move(aside));
}

}  // namespace

Result<std::vector<Project>> list_projects(const BooksOptions& options) {
  DEPOT_TRY(check(options));
  DEPOT_ASSIGN(auto answer, ask_daemon(options, kProjectsPath));
  return answer ? parse_projects(*answer) : list_from_disk(options);
}

Result<int64_t> stop_machines(const BooksOptions& options) {
  DEPOT_TRY(check(options));
  DEPOT_ASSIGN(auto answer, ask_daemon(options, kStopPath));
  return answer ? parse_number("machines", *answer) : Result<int64_t>(0);
}

Result<int64_t> reset_project(const BooksOptions& options) {
  if (!options.project) return base::usage_error("a reset needs a project");
  DEPOT_TRY(check(options));
  DEPOT_ASSIGN(std::string state_dir, state_dir_of(options.launch));
  for (;;) {
    DEPOT_ASSIGN(auto answer, ask_daemon(options, kResetPath));
    if (answer) return parse_number("bytes", *answer);
    DEPOT_ASSIGN(auto aside, try_set_aside(state_dir, *options.project));
    if (aside) return remove_aside(state_dir, *aside, options.cancel, options.deadline);
    // One that starts will answer; one that ends will have gone.
    if (steady_clock::now() >= options.deadline) {
      return Status(Code::kFailedPrecondition, Hop::kBuilder,
                    "another local builder, of another runtime directory, uses " + state_dir)
          .with_hint("use the same LIBDEPOT_RUNTIME_DIR everywhere");
    }
    if (options.cancel.wait_for(kLook)) return base::cancelled_error();
  }
}

}  // namespace depot::localbuilder

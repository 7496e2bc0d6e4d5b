#include "base/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>

#include "base/secret.h"

namespace depot::base {
namespace {

// waitid's P_PIDFD, which older headers lack.
constexpr auto kPidfd = static_cast<idtype_t>(3);

struct SpawnSettings {
  posix_spawn_file_actions_t actions;
  posix_spawnattr_t attributes;
  SpawnSettings() {
    ::posix_spawn_file_actions_init(&actions);
    ::posix_spawnattr_init(&attributes);
  }
  ~SpawnSettings() {
    ::posix_spawn_file_actions_destroy(&actions);
    ::posix_spawnattr_destroy(&attributes);
  }
  SpawnSettings(const SpawnSettings&) = delete;
  SpawnSettings& operator=(const SpawnSettings&) = delete;
};

std::vector<char*> pointers(std::vector<std::string>& strings) {
  std::vector<char*> out;
  for (std::string& one : strings) out.push_back(one.data());
  out.push_back(nullptr);
  return out;
}

// 0 or an errno.
int spawn(const Program& program, pid_t& pid) {
  int highest = 2;
  for (const auto& [ours, theirs] : program.files) highest = std::max(highest, theirs);
  SpawnSettings settings;
  auto* actions = &settings.actions;
  auto* attributes = &settings.attributes;
  // Ours above all of theirs (a host may have closed its standard ones): what is put there would
  // overwrite one that is still needed, and dup2 onto the same number leave close-on-exec set.
  std::vector<UniqueFd> moved;
  int error = 0;
  for (auto [ours, theirs] : program.files) {
    if (ours <= highest) {
      moved.emplace_back(::fcntl(ours, F_DUPFD_CLOEXEC, highest + 1));
      if (!moved.back().valid()) return errno;
      ours = moved.back().get();
    }
    if (!error) error = ::posix_spawn_file_actions_adddup2(actions, ours, theirs);
  }
  for (int number = 0; number < highest && !error; ++number) {
    bool given = std::any_of(program.files.begin(), program.files.end(),
                             [&](const auto& file) { return file.second == number; });
    if (!given) error = ::posix_spawn_file_actions_addclose(actions, number);
  }
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 34)
  // The host program's own descriptors need not be close-on-exec.
  if (!error) error = ::posix_spawn_file_actions_addclosefrom_np(actions, highest + 1);
#endif
  sigset_t none, all;
  ::sigemptyset(&none);
  ::sigfillset(&all);
  if (!error) error = ::posix_spawnattr_setsigmask(attributes, &none);
  if (!error) error = ::posix_spawnattr_setsigdefault(attributes, &all);
  if (!error) error = ::posix_spawnattr_setpgroup(attributes, 0);
  auto flags = POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
               (program.session ? POSIX_SPAWN_SETSID : POSIX_SPAWN_SETPGROUP);
  if (!error) error = ::posix_spawnattr_setflags(attributes, static_cast<short>(flags));
  if (error) return error;
  std::vector<std::string> arguments = program.arguments, variables = program.variables;
  std::vector<char*> argv = pointers(arguments), envp = pointers(variables);
  error = ::posix_spawn(&pid, argv[0], actions, attributes, argv.data(), envp.data());
  for (std::string& variable : variables) wipe(variable);
  return error;
}

}  // namespace

std::vector<std::string> variables_of(const Environment& environment) {
  std::vector<std::string> out;
  for (const auto& [name, value] : environment.all()) out.push_back(name + "=" + value);
  return out;
}

std::string find_program(const Environment& environment, std::string_view name) {
  std::string path = environment.get_or("PATH", "");
  std::string_view rest = path;
  while (!rest.empty()) {
    size_t end = rest.find(':');
    std::string_view folder = rest.substr(0, end);
    rest = end == std::string_view::npos ? std::string_view() : rest.substr(end + 1);
    if (folder.empty() || folder.front() != '/') continue;
    std::string candidate = std::string(folder) + "/" + std::string(name);
    struct stat st;
    if (::stat(candidate.c_str(), &st) == 0 && S_ISREG(st.st_mode) &&
        ::faccessat(AT_FDCWD, candidate.c_str(), X_OK, AT_EACCESS) == 0) {
      return candidate;
    }
  }
  return "";
}

Result<std::unique_ptr<Child>> Child::start(const Program& program) {
  pid_t pid = -1;
  if (int error = spawn(program, pid); error != 0)
    return errno_error(error, "cannot start " + program.arguments.front());
  UniqueFd pidfd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  int error = pidfd.valid() ? 0 : errno;
  std::unique_ptr<Child> child(new Child(pid, std::move(pidfd)));
  // ESRCH: it is gone already, and its number may be another program's by now.
  if (error == ESRCH)
    child->reaped_ = true;
  else if (error != 0)
    return errno_error(error, "cannot open a pidfd");
  return child;
}

Child::Child(pid_t pid, UniqueFd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}

Child::~Child() {
  kill();
  reap();
}

bool Child::ended() const {
  if (reaped_) return true;
  pollfd one{pidfd_.get(), POLLIN, 0};
  return ::poll(&one, 1, 0) == 1;
}

void Child::kill() {
  if (reaped_) return;
  // Until it is reaped its number cannot belong to anyone else; the pidfd knows whether it is.
  if (!pidfd_.valid() || ::syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0) == 0) {
    ::kill(-pid_, SIGKILL);
  }
}

ProgramEnd Child::reap() {
  if (reaped_) return end_;
  reaped_ = true;
  siginfo_t info{};
  for (;;) {
    int got = pidfd_.valid() ? ::waitid(kPidfd, static_cast<id_t>(pidfd_.get()), &info, WEXITED)
                             : ::waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED);
    if (got == 0) break;
    if (errno != EINTR) return end_;
  }
  end_.known = true;
  end_.exit_code = info.si_code == CLD_EXITED ? info.si_status : -1;
  end_.signal = info.si_code == CLD_EXITED ? 0 : info.si_status;
  return end_;
}

}  // namespace depot::base

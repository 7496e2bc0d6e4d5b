#include "registry/process.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <sys/eventfd.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdint>
#include <utility>

#include "base/fd.h"

namespace depot::registry {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;
using base::UniqueFd;

namespace {

// waitid's P_PIDFD, which older headers lack.
constexpr auto kPidfd = static_cast<idtype_t>(3);

Status helper_errno(int error, const std::string& what) {
  Status status = base::errno_error(error, what);
  return Status(status.code(), Hop::kHelper, status.message());
}

struct Pipe {
  UniqueFd reader, writer;
  // Above 2, so that laying them on 0, 1 and 2 never hits one that is still needed.
  Status open() {
    int ends[2];
    if (::pipe2(ends, O_CLOEXEC) != 0) return helper_errno(errno, "cannot make a pipe");
    reader.reset(ends[0]);
    writer.reset(ends[1]);
    for (UniqueFd* end : {&reader, &writer}) {
      if (end->get() > 2) continue;
      int moved = ::fcntl(end->get(), F_DUPFD_CLOEXEC, 3);
      if (moved < 0) return helper_errno(errno, "cannot duplicate a descriptor");
      end->reset(moved);
    }
    return base::ok_status();
  }
};

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
int spawn(const Process& process, const base::Environment& environment, const Pipe& in,
          const Pipe& out, const Pipe& err, pid_t& pid) {
  SpawnSettings settings;
  auto* actions = &settings.actions;
  auto* attributes = &settings.attributes;
  int error = ::posix_spawn_file_actions_adddup2(actions, in.reader.get(), 0);
  if (!error) error = ::posix_spawn_file_actions_adddup2(actions, out.writer.get(), 1);
  if (!error) error = ::posix_spawn_file_actions_adddup2(actions, err.writer.get(), 2);
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 34)
  // The host program's own descriptors need not be close-on-exec; a helper gets none of them.
  if (!error) error = ::posix_spawn_file_actions_addclosefrom_np(actions, 3);
#endif
  sigset_t none, all;
  ::sigemptyset(&none);
  ::sigfillset(&all);
  if (!error) error = ::posix_spawnattr_setsigmask(attributes, &none);
  if (!error) error = ::posix_spawnattr_setsigdefault(attributes, &all);
  if (!error) error = ::posix_spawnattr_setpgroup(attributes, 0);
  if (!error) {
    error = ::posix_spawnattr_setflags(
        attributes, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  }
  if (error) return error;
  std::vector<std::string> arguments = process.arguments;
  std::vector<std::string> variables;
  for (const auto& [name, value] : environment.all()) variables.push_back(name + "=" + value);
  std::vector<char*> argv = pointers(arguments), envp = pointers(variables);
  error = ::posix_spawn(&pid, argv[0], actions, attributes, argv.data(), envp.data());
  for (std::string& variable : variables) base::wipe(variable);
  return error;
}

// A started program, killed and reaped at the latest when this goes.
class Child {
 public:
  Child(pid_t pid, UniqueFd pidfd) : pid_(pid), pidfd_(std::move(pidfd)) {}
  ~Child() {
    kill_group();
    reap();
  }
  Child(const Child&) = delete;
  Child& operator=(const Child&) = delete;

  int pidfd() const { return pidfd_.get(); }
  // Somebody else reaped it: its number may be another program's by now.
  void forget() { reaped_ = true; }

  void kill_group() {
    if (reaped_) return;
    // Until it is reaped its number cannot belong to anyone else; the pidfd knows whether it is.
    if (!pidfd_.valid() ||
        ::syscall(SYS_pidfd_send_signal, pidfd_.get(), SIGKILL, nullptr, 0) == 0) {
      ::kill(-pid_, SIGKILL);
    }
  }

  // Waits for a program that ended or was killed. False when somebody else reaped it. SIGKILL does
  // not wait for the program, so neither does this, for long.
  bool reap(siginfo_t* info = nullptr) {
    if (reaped_) return true;
    reaped_ = true;
    siginfo_t own{};
    siginfo_t* out = info != nullptr ? info : &own;
    for (;;) {
      int got = pidfd_.valid() ? ::waitid(kPidfd, static_cast<id_t>(pidfd_.get()), out, WEXITED)
                               : ::waitid(P_PID, static_cast<id_t>(pid_), out, WEXITED);
      if (got == 0) return true;
      if (errno != EINTR) return false;
    }
  }

 private:
  pid_t pid_;
  UniqueFd pidfd_;
  bool reaped_ = false;
};

// Bytes from a non-blocking pipe into a buffer of fixed capacity: growing would leave copies of a
// secret behind.
class Collector {
 public:
  Collector(UniqueFd reader, size_t limit) : reader_(std::move(reader)), limit_(limit) {
    ::fcntl(reader_.get(), F_SETFL, O_NONBLOCK);
    bytes_.reserve(limit);
  }
  ~Collector() { base::wipe(bytes_); }
  Collector(const Collector&) = delete;
  Collector& operator=(const Collector&) = delete;

  // What is there now, 1 MiB at most: a program that never stops printing must not hold us here.
  void read_some() {
    char buffer[4096];
    for (int round = 0; round < 256 && reader_.valid(); ++round) {
      ssize_t n = ::read(reader_.get(), buffer, sizeof buffer);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && errno == EAGAIN) break;
      if (n <= 0) {
        reader_.reset();
        break;
      }
      auto size = static_cast<size_t>(n);
      size_t room = limit_ - bytes_.size();
      if (size > room) overflow_ = true;
      bytes_.append(buffer, std::min(size, room));
    }
    base::wipe(buffer, sizeof buffer);
  }

  int fd() const { return reader_.get(); }  // -1 at its end, which poll passes over
  bool overflow() const { return overflow_; }
  base::Secret take() { return base::Secret::take(std::move(bytes_)); }

 private:
  UniqueFd reader_;
  size_t limit_;
  std::string bytes_;
  bool overflow_ = false;
};

}  // namespace

Result<ProcessOutput> run_process(const Process& process, const base::Environment& environment,
                                  const base::Cancel& cancel, std::chrono::milliseconds timeout) {
  using Clock = std::chrono::steady_clock;
  Clock::time_point deadline = Clock::now() + timeout;
  Pipe in, out, err;
  DEPOT_TRY(in.open());
  DEPOT_TRY(out.open());
  DEPOT_TRY(err.open());
  UniqueFd stop(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!stop.valid()) return helper_errno(errno, "cannot make an eventfd");

  // The input goes in before the program starts, while the reading end is ours: no SIGPIPE can come
  // of a program that does not read it, and the pipe holds it all.
  if (process.input.size() > 4096) return base::internal_error("the helper's input is too long");
  if (!process.input.empty() &&
      ::write(in.writer.get(), process.input.data(), process.input.size()) !=
          static_cast<ssize_t>(process.input.size())) {
    return helper_errno(errno, "cannot write to a pipe");
  }
  in.writer.reset();
  if (cancel.triggered()) return Status(Code::kCancelled, Hop::kHelper, "cancelled by the caller");

  pid_t pid = -1;
  int error = spawn(process, environment, in, out, err, pid);
  if (error) return helper_errno(error, "cannot start " + process.arguments.front());
  in.reader.reset();
  out.writer.reset();
  err.writer.reset();
  Child child(pid, UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0))));
  // ESRCH: the host ignores SIGCHLD or waits for every child, and the program is gone already.
  if (child.pidfd() < 0 && errno != ESRCH) return helper_errno(errno, "cannot open a pidfd");
  bool gone = child.pidfd() < 0;
  if (gone) child.forget();

  Collector output(std::move(out.reader), process.max_output);
  Collector errors(std::move(err.reader), process.max_errors);
  auto registration = cancel.on_trigger([fd = stop.get()] {
    uint64_t one = 1;
    (void)!::write(fd, &one, sizeof one);
  });
  // Its own end counts, not that of its pipes: a daemon that it started may keep those for ever.
  while (!gone) {
    auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (left <= 0) {
      return Status(Code::kDeadlineExceeded, Hop::kHelper,
                    "no answer after " + std::to_string(timeout.count()) + " ms, killed");
    }
    pollfd polls[] = {{child.pidfd(), POLLIN, 0},
                      {stop.get(), POLLIN, 0},
                      {output.fd(), POLLIN, 0},
                      {errors.fd(), POLLIN, 0}};
    if (::poll(polls, 4, static_cast<int>(std::min<int64_t>(left, INT32_MAX))) < 0 &&
        errno != EINTR) {
      return helper_errno(errno, "cannot wait for the program");
    }
    if (polls[1].revents != 0) {
      return Status(Code::kCancelled, Hop::kHelper, "cancelled by the caller");
    }
    output.read_some();
    errors.read_some();
    if (output.overflow()) break;
    gone = polls[0].revents != 0;
  }
  output.read_some();
  errors.read_some();
  if (output.overflow()) {
    return Status(Code::kResourceExhausted, Hop::kHelper,
                  "printed more than " + std::to_string(process.max_output) + " bytes, killed");
  }
  ProcessOutput result;
  siginfo_t info{};
  if (child.pidfd() >= 0 && child.reap(&info)) {
    result.exit_code = info.si_code == CLD_EXITED ? info.si_status : -1;
    result.signal = info.si_code == CLD_EXITED ? 0 : info.si_status;
  }
  result.output = output.take();
  result.errors = errors.take();
  return result;
}

}  // namespace depot::registry

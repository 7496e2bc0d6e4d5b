#include "builderd/machine_init.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

namespace depot::builderd {

using base::Result;
using base::Secret;
using base::Status;

namespace {

constexpr size_t kMaxSetup = 128 << 10;

void put(std::string& out, std::string_view field) {
  auto size = static_cast<uint32_t>(field.size());
  out.append(reinterpret_cast<const char*>(&size), sizeof size);
  out.append(field);
}

bool get(std::string_view& in, std::string& field) {
  uint32_t size;
  if (in.size() < sizeof size) return false;
  std::memcpy(&size, in.data(), sizeof size);
  in.remove_prefix(sizeof size);
  if (size > in.size()) return false;
  field.assign(in.substr(0, size));
  in.remove_prefix(size);
  return true;
}

void tell(std::string_view message) {
  (void)!::send(kMachineControlFd, message.data(), message.size(), MSG_NOSIGNAL);
}

[[noreturn]] void fail(const std::string& what) {
  tell("error " + what);
  ::_exit(1);
}

[[noreturn]] void fail_errno(const std::string& what) {
  fail(what + ": " + std::strerror(errno));
}

void write_private(const std::string& path, std::string_view content) {
  base::UniqueFd fd(::open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
  if (!fd.valid()) fail_errno("cannot make " + path);
  while (!content.empty()) {
    ssize_t n = ::write(fd.get(), content.data(), content.size());
    if (n < 0 && errno == EINTR) continue;
    if (n <= 0) fail_errno("cannot write " + path);
    content.remove_prefix(static_cast<size_t>(n));
  }
}

void make_mounts(const MachineSetup& setup) {
  // Slave: what the host mounts and unmounts later happens here too; ours stays here.
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_SLAVE, nullptr) != 0) {
    fail_errno("cannot make the mounts private");
  }
  if (::mount("proc", "/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, nullptr) != 0) {
    fail_errno("cannot mount /proc");
  }
  const unsigned long flags = MS_NOSUID | MS_NODEV | MS_NOEXEC;
  if (::mount("libdepot", setup.private_dir.c_str(), "tmpfs", flags, "size=1m,mode=0700") != 0) {
    fail_errno("cannot mount a tmpfs on " + setup.private_dir);
  }
  // runc keeps its containers' records here; with the namespace they go.
  if (::mkdir("/run/runc", 0711) != 0 && errno != EEXIST) fail_errno("cannot make /run/runc");
  if (::mount("libdepot", "/run/runc", "tmpfs", flags, "size=64m,mode=0711") != 0) {
    fail_errno("cannot mount a tmpfs on /run/runc");
  }
}

base::UniqueFd bind_notify(const std::string& path) {
  base::UniqueFd fd(::socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  if (path.size() >= sizeof address.sun_path) fail("path too long: " + path);
  std::memcpy(address.sun_path, path.data(), path.size());
  if (!fd.valid() || ::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) {
    fail_errno("cannot bind " + path);
  }
  return fd;
}

[[noreturn]] void exec_buildkitd(const MachineSetup& setup) {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  sigset_t none;
  ::sigemptyset(&none);
  ::sigprocmask(SIG_SETMASK, &none, nullptr);
  ::fcntl(kMachineListenFd, F_SETFD, 0);
  std::vector<std::string> strings = setup.environment;
  strings.push_back("LISTEN_FDS=1");
  strings.push_back("LISTEN_PID=" + std::to_string(::getpid()));
  strings.push_back("NOTIFY_SOCKET=" + setup.private_dir + "/notify");
  std::vector<char*> environment;
  for (std::string& one : strings) environment.push_back(one.data());
  environment.push_back(nullptr);
  std::string config = setup.private_dir + "/buildkitd.toml";
  const char* const arguments[] = {setup.buildkitd.c_str(), "--config", config.c_str(), nullptr};
  ::execve(setup.buildkitd.c_str(), const_cast<char* const*>(arguments), environment.data());
  fail_errno("cannot run " + setup.buildkitd);
}

std::string describe_exit(int status) {
  if (WIFSIGNALED(status)) return "killed by signal " + std::to_string(WTERMSIG(status));
  return "exit code " + std::to_string(WEXITSTATUS(status));
}

// Reaps whatever ended; true once buildkitd has.
bool reap(pid_t buildkitd) {
  int status;
  pid_t pid;
  bool ended = false;
  while ((pid = ::waitpid(-1, &status, WNOHANG)) > 0) {
    if (pid != buildkitd) continue;
    tell("exit " + describe_exit(status));
    ended = true;
  }
  return ended;
}

void supervise(pid_t buildkitd, int signals, int notify) {
  for (;;) {
    pollfd fds[] = {{signals, POLLIN, 0}, {kMachineControlFd, POLLIN, 0}, {notify, POLLIN, 0}};
    if (::poll(fds, 3, -1) < 0) continue;
    char buffer[4096];
    if (fds[2].revents != 0) {
      ssize_t n = ::recv(notify, buffer, sizeof buffer, 0);
      std::string_view text(buffer, n > 0 ? static_cast<size_t>(n) : 0);
      if (text.find("READY=1") != std::string_view::npos) tell("ready");
    }
    if (fds[0].revents != 0) {
      (void)!::read(signals, buffer, sizeof buffer);
      if (reap(buildkitd)) return;
    }
    if (fds[1].revents != 0) {
      ssize_t n = ::recv(kMachineControlFd, buffer, sizeof buffer, MSG_DONTWAIT);
      if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR)) return;  // the daemon is gone
      if (std::string_view(buffer, static_cast<size_t>(n > 0 ? n : 0)) == "stop") {
        ::kill(buildkitd, SIGTERM);
      }
    }
  }
}

}  // namespace

Secret encode_setup(const MachineSetup& setup) {
  std::string out;
  out.reserve(kMaxSetup);  // no growing: a copy left behind would hold the key
  for (const std::string* field : {&setup.private_dir, &setup.buildkitd, &setup.config,
                                   &setup.server_certificate, &setup.ca_certificate}) {
    put(out, *field);
  }
  put(out, setup.server_key.reveal());
  for (const std::string& one : setup.environment) put(out, one);
  return Secret::take(std::move(out));
}

Result<MachineSetup> decode_setup(std::string_view bytes) {
  MachineSetup setup;
  std::string key;
  bool good = get(bytes, setup.private_dir) && get(bytes, setup.buildkitd) &&
              get(bytes, setup.config) && get(bytes, setup.server_certificate) &&
              get(bytes, setup.ca_certificate) && get(bytes, key);
  setup.server_key = Secret::take(std::move(key));
  while (good && !bytes.empty()) good = get(bytes, setup.environment.emplace_back());
  if (!good) return base::internal_error("machine setup is malformed");
  return setup;
}

Result<pid_t> spawn_machine_init(int listen_fd, int control_fd, int output_fd) {
  // Copied to numbers above the targets first, so that no dup2 below overwrites a source.
  base::UniqueFd listen_copy(::fcntl(listen_fd, F_DUPFD_CLOEXEC, 10));
  base::UniqueFd control_copy(::fcntl(control_fd, F_DUPFD_CLOEXEC, 10));
  base::UniqueFd output_copy(::fcntl(output_fd, F_DUPFD_CLOEXEC, 10));
  base::UniqueFd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  base::UniqueFd null_copy(null.valid() ? ::fcntl(null.get(), F_DUPFD_CLOEXEC, 10) : -1);
  if (!listen_copy.valid() || !control_copy.valid() || !output_copy.valid() || !null_copy.valid()) {
    return base::errno_error(errno, "cannot duplicate a descriptor").with_hop(base::Hop::kBuilder);
  }
  static const char* const arguments[] = {"libdepot-builderd", "--machine-init", nullptr};
  static const char* const environment[] = {nullptr};
  // fork() with namespaces. Between here and execve the child makes system calls alone.
  long pid = ::syscall(SYS_clone, CLONE_NEWPID | CLONE_NEWNS | SIGCHLD, 0, 0, 0, 0);
  if (pid == 0) {
    if (::dup2(null_copy.get(), 0) >= 0 && ::dup2(output_copy.get(), 1) >= 0 &&
        ::dup2(output_copy.get(), 2) >= 0 && ::dup2(listen_copy.get(), kMachineListenFd) >= 0 &&
        ::dup2(control_copy.get(), kMachineControlFd) >= 0) {
      ::execve("/proc/self/exe", const_cast<char* const*>(arguments),
               const_cast<char* const*>(environment));
    }
    ::_exit(127);
  }
  if (pid < 0) {
    return base::errno_error(errno, "cannot start a process in namespaces of its own")
        .with_hop(base::Hop::kBuilder);
  }
  return static_cast<pid_t>(pid);
}

int machine_init_main() {
  ::prctl(PR_SET_PDEATHSIG, SIGKILL);
  ::prctl(PR_SET_NAME, "libdepot-machine");
#ifdef SYS_close_range
  ::syscall(SYS_close_range, kMachineControlFd + 1, ~0U, 0);
#endif
  ::fcntl(kMachineControlFd, F_SETFD, FD_CLOEXEC);
  ::fcntl(kMachineListenFd, F_SETFD, FD_CLOEXEC);
  sigset_t all;
  ::sigfillset(&all);
  ::sigprocmask(SIG_SETMASK, &all, nullptr);
  ::umask(0077);
  // If the daemon died before the prctl above, this is an end of file.
  std::string buffer(kMaxSetup, '\0');
  ssize_t n = ::recv(kMachineControlFd, buffer.data(), buffer.size(), 0);
  if (n <= 0) return 1;
  auto setup = decode_setup(std::string_view(buffer.data(), static_cast<size_t>(n)));
  base::wipe(buffer);
  if (!setup.ok()) fail(setup.status().message());
  make_mounts(*setup);
  const std::string& dir = setup->private_dir;
  write_private(dir + "/cert.pem", setup->server_certificate);
  write_private(dir + "/key.pem", setup->server_key.reveal());
  write_private(dir + "/ca.pem", setup->ca_certificate);
  write_private(dir + "/buildkitd.toml", setup->config);
  setup->server_key = Secret();
  base::UniqueFd notify = bind_notify(dir + "/notify");
  sigset_t children;
  ::sigemptyset(&children);
  ::sigaddset(&children, SIGCHLD);
  base::UniqueFd signals(::signalfd(-1, &children, SFD_CLOEXEC));
  if (!signals.valid()) fail_errno("cannot make a signalfd");
  ::umask(0022);
  pid_t buildkitd = ::fork();
  if (buildkitd < 0) fail_errno("cannot fork");
  if (buildkitd == 0) exec_buildkitd(*setup);
  ::close(kMachineListenFd);
  supervise(buildkitd, signals.get(), notify.get());
  return 0;
}

}  // namespace depot::builderd

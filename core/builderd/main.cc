// libdepot-builderd: command line, signals, background, readiness; the rest is daemon.h.
#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <string>
#include <string_view>
#include <vector>

#include "base/environment.h"
#include "base/fd.h"
#include "builderd/daemon.h"
#include "builderd/machine_init.h"
#include "builderd/options.h"
#include "builderd/version.h"

namespace {

using namespace depot;

std::string one_line(std::string text) {
  for (char& c : text) {
    if (static_cast<unsigned char>(c) < 0x20) c = ' ';
  }
  return text;
}

// To who started us (localbuilder/spawn.h), once.
void report(base::UniqueFd& ready, const base::Status& status) {
  if (!ready.valid()) return;
  std::string text = "ready\n";
  if (!status.ok()) {
    text = "error " + std::to_string(static_cast<int>(status.code())) + " " +
           one_line(status.message()) + "\n";
    if (!status.error().hint.empty()) text += "hint " + one_line(status.error().hint) + "\n";
  }
  ssize_t n = ::write(ready.get(), text.data(), text.size());
  (void)n;  // who started us has gone; the log has it
  ready.reset();
}

int complain(const base::Status& status) {
  std::fprintf(stderr, "libdepot-builderd: %s\n", status.message().c_str());
  if (!status.error().hint.empty()) std::fprintf(stderr, "  %s\n", status.error().hint.c_str());
  return status.code() == base::Code::kInvalidArgument ? 2 : 1;
}

// Before any thread: what is inherited beyond the readiness pipe would be held for the daemon's
// life.
void settle_process(int ready_fd) {
  ::signal(SIGPIPE, SIG_IGN);
  ::signal(SIGHUP, SIG_IGN);
  sigset_t waited_for;
  ::sigemptyset(&waited_for);
  ::sigaddset(&waited_for, SIGTERM);
  ::sigaddset(&waited_for, SIGINT);
  ::sigprocmask(SIG_BLOCK, &waited_for, nullptr);
  ::umask(0077);
  if (ready_fd >= 0) ::fcntl(ready_fd, F_SETFD, FD_CLOEXEC);
}

int serve(const builderd::DaemonOptions& options, const base::Environment& environment) {
  base::UniqueFd ready(options.ready_fd);
  builderd::Daemon daemon(options, environment);
  base::Status status = daemon.start();
  if (status.ok() && ::chdir("/") != 0) {
    // Harmless: the directory we came from just cannot be unmounted meanwhile.
  }
  report(ready, status);
  if (!status.ok()) return complain(status);
  if (!options.detach) {
    std::printf("ready\n");
    if (daemon.port() != 0) std::printf("port %u\n", daemon.port());
    std::fflush(stdout);
  }
  daemon.run();
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  std::vector<std::string> arguments(argv + 1, argv + argc);
  if (arguments.size() == 1 && arguments[0] == "--machine-init") {
    if (::getpid() == 1) return builderd::machine_init_main();
    std::fprintf(stderr, "libdepot-builderd: --machine-init is for the daemon's own use\n");
    return 2;
  }
  auto environment = base::Environment::of_process();
  auto options = builderd::parse_options(arguments, environment, ::geteuid());
  if (!options.ok()) return complain(options.status());
  if (options->help) {
    std::fputs(std::string(builderd::usage()).c_str(), stdout);
    return 0;
  }
  if (options->version) {
    std::printf("libdepot-builderd %s\n", builderd::kVersion);
    return 0;
  }
  settle_process(options->ready_fd);
  if (options->detach) {
    pid_t pid = ::fork();
    if (pid < 0) return complain(base::errno_error(errno, "cannot fork"));
    if (pid > 0) ::_exit(0);
    ::setsid();
  }
  return serve(*options, environment);
}

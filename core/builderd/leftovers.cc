#include "builderd/leftovers.h"

#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cerrno>
#include <cstdio>
#include <filesystem>
#include <sstream>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "localbuilder/project_dirs.h"

namespace depot::builderd {

namespace fs = std::filesystem;

uint64_t start_time_of(pid_t pid) {
  base::UniqueFd fd(
      ::open(("/proc/" + std::to_string(pid) + "/stat").c_str(), O_RDONLY | O_CLOEXEC));
  char buffer[1024];
  ssize_t n = fd.valid() ? ::read(fd.get(), buffer, sizeof buffer) : -1;
  if (n <= 0) return 0;
  // The name is in parentheses and may hold anything; what follows the last one is numbers.
  std::string text(buffer, static_cast<size_t>(n));
  size_t close = text.rfind(')');
  if (close == std::string::npos) return 0;
  std::istringstream fields(text.substr(close + 1));
  std::string field;
  for (int i = 3; i <= 22 && fields >> field; ++i) {
    if (i == 3 && (field == "Z" || field == "X")) return 0;
  }
  try {
    return std::stoull(field);
  } catch (...) {
    return 0;
  }
}

base::Status kill_leftover(pid_t pid, uint64_t start_time, std::chrono::milliseconds patience) {
  if (pid <= 1 || start_time == 0) return base::ok_status();
  // The descriptor first: what is checked and killed through it stays one process.
  base::UniqueFd process(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
  if (!process.valid() || start_time_of(pid) != start_time) return base::ok_status();
  ::syscall(SYS_pidfd_send_signal, process.get(), SIGKILL, nullptr, 0);
  pollfd end{process.get(), POLLIN, 0};
  int n;
  while ((n = ::poll(&end, 1, static_cast<int>(patience.count()))) < 0 && errno == EINTR) {
  }
  if (n > 0) return base::ok_status();
  return base::Status(base::Code::kUnavailable, base::Hop::kBuilder,
                      "process " + std::to_string(pid) + " of an earlier run does not die");
}

void remove_set_aside(const std::string& state_dir, const base::Cancel& cancel,
                      const base::LogSink& log) {
  for (const std::string& name : localbuilder::find_aside(state_dir)) {
    auto bytes = localbuilder::remove_aside(state_dir, name, cancel,
                                            std::chrono::steady_clock::time_point::max());
    if (cancel.triggered()) return;  // the next start goes on
    if (bytes.ok()) {
      base::log(log, base::LogLevel::kInfo,
                "removed what a reset left: " + std::to_string(*bytes) + " bytes");
    } else {
      base::log(log, base::LogLevel::kError, bytes.status().message());
    }
  }
}

namespace {

// Deepest first; rmdir fails on one with processes.
void remove_tree(const fs::path& path, int depth) {
  std::error_code error;
  if (depth > 0) {
    std::vector<fs::path> children;
    for (fs::directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
      if (it->is_directory(error) && !it->is_symlink(error)) children.push_back(it->path());
    }
    for (const fs::path& child : children) remove_tree(child, depth - 1);
  }
  ::rmdir(path.c_str());
}

}  // namespace

void remove_cgroups(const std::string& name) {
  if (name.empty() || name.find('/') != std::string::npos || name.front() == '.') return;
  const fs::path mounts = "/sys/fs/cgroup";
  std::error_code error;
  std::vector<fs::path> hierarchies = {mounts};
  for (fs::directory_iterator it(mounts, error), end; !error && it != end; it.increment(error)) {
    if (it->is_directory(error)) hierarchies.push_back(it->path());
  }
  for (const fs::path& hierarchy : hierarchies) {
    if (fs::is_directory(hierarchy / name, error)) remove_tree(hierarchy / name, 8);
  }
}

}  // namespace depot::builderd

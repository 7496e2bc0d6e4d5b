#include "builderd/engine_check.h"

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/utsname.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cerrno>
#include <charconv>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <system_error>

#include "base/fd.h"
#include "base/wait.h"

namespace depot::builderd {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;
using base::UniqueFd;

namespace {

constexpr size_t kMaxOutput = 8 << 10;

// Three numbers with dots at the front of `text`.
std::optional<Version> version_at(std::string_view text) {
  Version version{};
  for (size_t i = 0; i < 3; ++i) {
    if (i > 0) {
      if (text.empty() || text.front() != '.') return std::nullopt;
      text.remove_prefix(1);
    }
    auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), version[i]);
    if (error != std::errc()) return std::nullopt;
    text.remove_prefix(static_cast<size_t>(end - text.data()));
  }
  return version;
}

Result<std::string> output_of(const std::string& path, const char* argument,
                              const base::Cancel& cancel,
                              std::chrono::steady_clock::time_point deadline) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return base::errno_error(errno, "cannot make a pipe");
  UniqueFd reader(ends[0]), writer(ends[1]);
  ::fcntl(reader.get(), F_SETFL, O_NONBLOCK);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  ::posix_spawn_file_actions_adddup2(&actions, writer.get(), 1);
  ::posix_spawn_file_actions_adddup2(&actions, writer.get(), 2);
  const char* const arguments[] = {path.c_str(), argument, nullptr};
  const char* const environment[] = {nullptr};
  pid_t pid = -1;
  int error =
      ::posix_spawn(&pid, path.c_str(), &actions, nullptr, const_cast<char* const*>(arguments),
                    const_cast<char* const*>(environment));
  ::posix_spawn_file_actions_destroy(&actions);
  if (error) return base::errno_error(error, "cannot run " + path).with_hop(Hop::kBuilder);
  writer.reset();
  base::Waiter waiter(cancel, deadline, Hop::kBuilder);
  std::string output;
  Status outcome;
  for (;;) {
    char buffer[1024];
    ssize_t n = ::read(reader.get(), buffer, sizeof buffer);
    if (n == 0) break;
    if (n > 0) {
      if (output.size() < kMaxOutput) output.append(buffer, static_cast<size_t>(n));
    } else if (errno == EAGAIN) {
      auto told = waiter.wait(reader.get(), POLLIN, "asking buildkitd for its version");
      if (!told.ok()) {
        outcome = told.status();
        ::kill(pid, SIGKILL);
        break;
      }
    } else if (errno != EINTR) {
      break;
    }
  }
  while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  if (!outcome.ok()) return outcome;
  return output;
}

// The module line that the Go linker leaves in a binary: "mod\t<path>\t<version>", or "dep" when
// buildkitd was compiled from another main module.
std::optional<Version> version_in_binary(const std::string& path) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat st;
  if (!fd.valid() || ::fstat(fd.get(), &st) != 0 || st.st_size <= 0) return std::nullopt;
  auto size = static_cast<size_t>(st.st_size);
  void* memory = ::mmap(nullptr, size, PROT_READ, MAP_PRIVATE, fd.get(), 0);
  if (memory == MAP_FAILED) return std::nullopt;
  constexpr std::string_view kNeedle = "\tgithub.com/moby/buildkit\tv";
  std::string_view all(static_cast<const char*>(memory), size);
  std::optional<Version> found;
  const void* hit = ::memmem(all.data(), all.size(), kNeedle.data(), kNeedle.size());
  if (hit) {
    auto at = static_cast<size_t>(static_cast<const char*>(hit) - all.data()) + kNeedle.size();
    found = version_at(all.substr(at, 40));
    if (found == Version{}) found.reset();
  }
  ::munmap(memory, size);
  return found;
}

// The child's part of check_overlayfs: 0, or errno with the step in `step`. System calls alone.
int try_overlay(const std::string& merged, const std::string& options,
                const std::string& lower_file, const std::string& merged_file, const char*& step) {
  step = "making a mount namespace";
  if (::unshare(CLONE_NEWNS) != 0) return errno;
  if (::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) return errno;
  step = "writing a file";
  int fd = ::open(lower_file.c_str(), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
  if (fd < 0) return errno;
  ::close(fd);
  step = "mounting an overlay";
  if (::mount("overlay", merged.c_str(), "overlay", 0, options.c_str()) != 0) return errno;
  step = "deleting a file through an overlay";
  if (::unlink(merged_file.c_str()) != 0) return errno;
  return 0;
}

}  // namespace

std::optional<Version> parse_version(std::string_view text) {
  for (size_t i = 0; i < text.size(); ++i) {
    bool digit = text[i] >= '0' && text[i] <= '9';
    bool starts = i == 0 || text[i - 1] == ' ' || text[i - 1] == 'v' || text[i - 1] == '\t';
    if (!digit || !starts) continue;
    auto version = version_at(text.substr(i));
    if (version && *version != Version{}) return version;
  }
  return std::nullopt;
}

std::string format_version(const Version& version) {
  return std::to_string(version[0]) + "." + std::to_string(version[1]) + "." +
         std::to_string(version[2]);
}

Result<Version> check_buildkitd(const std::string& path, const base::Cancel& cancel,
                                std::chrono::steady_clock::time_point deadline) {
  DEPOT_ASSIGN(std::string output, output_of(path, "--version", cancel, deadline));
  auto version = parse_version(output);
  if (!version) version = version_in_binary(path);
  if (!version) {
    return Status(Code::kFailedPrecondition, Hop::kBuilder,
                  "cannot tell the version of " + path + "; " + format_version(kOldestBuildkit) +
                      " or later is needed")
        .with_hint("use a released buildkitd");
  }
  if (*version < kOldestBuildkit) {
    return Status(Code::kFailedPrecondition, Hop::kBuilder,
                  path + " is version " + format_version(*version) + "; versions before " +
                      format_version(kOldestBuildkit) +
                      " let a build read and delete files of this machine (CVE-2024-23651, "
                      "CVE-2024-23652)")
        .with_hint("install a later BuildKit");
  }
  return *version;
}

Status check_overlayfs(const std::string& directory) {
  std::string place = directory + "/overlay-check-XXXXXX";
  if (!::mkdtemp(place.data())) {
    return base::errno_error(errno, "cannot make a directory in " + directory)
        .with_hop(Hop::kBuilder);
  }
  for (const char* name : {"/lower", "/upper", "/work", "/merged"}) {
    ::mkdir((place + name).c_str(), 0700);
  }
  std::string options =
      "lowerdir=" + place + "/lower,upperdir=" + place + "/upper,workdir=" + place + "/work";
  std::string merged = place + "/merged", lower_file = place + "/lower/file",
              merged_file = place + "/merged/file";
  struct Report {
    int error = 0;
    char step[64] = {};
  } report;
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return base::errno_error(errno, "cannot make a pipe");
  UniqueFd reader(ends[0]), writer(ends[1]);
  pid_t pid = ::fork();
  if (pid == 0) {
    const char* step = "";
    report.error = try_overlay(merged, options, lower_file, merged_file, step);
    ::strncpy(report.step, step, sizeof report.step - 1);
    (void)!::write(writer.get(), &report, sizeof report);
    ::_exit(0);
  }
  writer.reset();
  ssize_t n = -1;
  if (pid > 0) {
    while ((n = ::read(reader.get(), &report, sizeof report)) < 0 && errno == EINTR) {
    }
    while (::waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
  }
  std::error_code ignored;
  std::filesystem::remove_all(place, ignored);
  if (n != static_cast<ssize_t>(sizeof report)) {
    return base::internal_error("the overlayfs check ended without a result")
        .with_hop(Hop::kBuilder);
  }
  if (report.error == 0) return base::ok_status();
  return Status(Code::kFailedPrecondition, Hop::kBuilder,
                "overlayfs does not work on " + directory + ": " + report.step + ": " +
                    std::strerror(report.error))
      .with_hint(
          "put the state directory (LIBDEPOT_STATE_DIR) on ext4 or xfs, not on an overlay or a "
          "network file system; a much slower full copy of every layer is used only on request "
          "(libdepot-builderd --snapshotter native)");
}

std::string_view native_architecture() {
  utsname name{};
  ::uname(&name);
  std::string_view machine = name.machine;
  if (machine == "x86_64") return "amd64";
  return machine == "aarch64" ? "arm64" : "";
}

bool can_run(std::string_view architecture) {
  if (architecture == native_architecture()) return true;
  std::string name = architecture == "arm64" ? "qemu-aarch64" : "qemu-x86_64";
  return ::access(("/proc/sys/fs/binfmt_misc/" + name).c_str(), F_OK) == 0;
}

}  // namespace depot::builderd

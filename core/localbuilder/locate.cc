#include "localbuilder/locate.h"

#include <dlfcn.h>
#include <fcntl.h>
#include <limits.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <optional>
#include <string_view>

#include "base/fd.h"

namespace depot::localbuilder {

using base::Code;
using base::Environment;
using base::Hop;
using base::Result;
using base::Status;

namespace {

bool is_executable(const std::string& path) {
  struct stat st;
  return ::stat(path.c_str(), &st) == 0 && S_ISREG(st.st_mode) && ::access(path.c_str(), X_OK) == 0;
}

std::string folder_of(const std::string& path) {
  size_t slash = path.rfind('/');
  if (slash == std::string::npos) return ".";
  return slash == 0 ? "/" : path.substr(0, slash);
}

// Absolute, so that it still means the same after the daemon's chdir("/").
std::string absolute(const std::string& path) {
  char buffer[PATH_MAX];
  return ::realpath(path.c_str(), buffer) ? std::string(buffer) : path;
}

// Absolute entries of $PATH; relative ones would mean "whatever is in the current directory".
std::vector<std::string> search_path(const Environment& environment) {
  std::vector<std::string> folders;
  std::string path =
      environment.get_or("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin");
  std::string_view rest = path;
  while (!rest.empty()) {
    size_t colon = rest.find(':');
    std::string_view one = rest.substr(0, colon);
    if (!one.empty() && one.front() == '/') folders.emplace_back(one);
    if (colon == std::string_view::npos) break;
    rest.remove_prefix(colon + 1);
  }
  return folders;
}

std::vector<std::string> beside(const std::string& library_folder) {
  if (library_folder.empty()) return {};
  return {library_folder, library_folder + "/../libexec/libdepot", library_folder + "/../libexec",
          library_folder + "/../bin"};
}

std::optional<std::string> find_in(const std::vector<std::string>& folders, std::string_view name) {
  for (const std::string& folder : folders) {
    std::string path = folder + "/" + std::string(name);
    if (is_executable(path)) return absolute(path);
  }
  return std::nullopt;
}

Status not_found(std::string message, std::string hint) {
  return Status(Code::kNotFound, Hop::kBuilder, std::move(message)).with_hint(std::move(hint));
}

std::string home_of(const Environment& environment) {
  return environment.get_or("HOME", "");
}

// ${variable:-~/fallback}, or empty without a home. The specification has relative ones ignored.
std::string xdg(const Environment& environment, std::string_view variable,
                std::string_view fallback) {
  std::string value = environment.get_or(variable, "");
  if (!value.empty() && value.front() == '/') return value;
  std::string home = home_of(environment);
  return home.empty() ? "" : home + "/" + std::string(fallback);
}

}  // namespace

std::string own_folder() {
  Dl_info info;
  if (::dladdr(reinterpret_cast<const void*>(&own_folder), &info) == 0 || !info.dli_fname)
    return "";
  // In an executable dli_fname is argv[0], which may be relative or a bare name.
  char buffer[PATH_MAX];
  if (info.dli_fname[0] == '/' && ::realpath(info.dli_fname, buffer)) return folder_of(buffer);
  ssize_t n = ::readlink("/proc/self/exe", buffer, sizeof buffer);
  if (n <= 0 || static_cast<size_t>(n) == sizeof buffer) return "";
  return folder_of(std::string(buffer, static_cast<size_t>(n)));
}

Result<std::string> find_builderd(const std::string& explicit_path, const Environment& environment,
                                  const std::string& library_folder) {
  std::string wanted = explicit_path;
  std::string source = "the builderd path that was set";
  if (wanted.empty()) {
    wanted = environment.get_or("LIBDEPOT_BUILDERD", "");
    source = "LIBDEPOT_BUILDERD";
  }
  if (!wanted.empty()) {
    if (is_executable(wanted)) return absolute(wanted);
    return not_found(source + " is not an executable file: " + wanted, "correct or unset it");
  }
  std::vector<std::string> folders = beside(library_folder);
  for (std::string& folder : search_path(environment)) folders.push_back(std::move(folder));
  if (auto path = find_in(folders, kBuilderdName)) return *path;
  return not_found(std::string(kBuilderdName) + " not found beside the library (" +
                       (library_folder.empty() ? "unknown folder" : library_folder) +
                       ") nor in PATH",
                   "install it, or set LIBDEPOT_BUILDERD to its path");
}

Result<Engine> find_engine(const std::string& explicit_dir, const Environment& environment,
                           const std::string& library_folder) {
  std::string wanted = explicit_dir;
  std::string source = "the engine folder that was set";
  if (wanted.empty()) {
    wanted = environment.get_or("LIBDEPOT_ENGINE_DIR", "");
    source = "LIBDEPOT_ENGINE_DIR";
  }
  std::string cache = xdg(environment, "XDG_CACHE_HOME", ".cache");
  std::vector<std::string> usual = beside(library_folder);
  for (std::string& folder : search_path(environment)) usual.push_back(std::move(folder));
  if (!cache.empty()) usual.push_back(cache + "/libdepot/engine/current/bin");

  Engine engine;
  if (!wanted.empty()) {
    auto path = find_in({wanted, wanted + "/bin"}, "buildkitd");
    if (!path) return not_found(source + " holds no buildkitd: " + wanted, "correct or unset it");
    engine.buildkitd = *path;
  } else if (auto path = find_in(usual, "buildkitd")) {
    engine.buildkitd = *path;
  } else {
    return not_found("buildkitd not found beside the library, in PATH or in " +
                         (cache.empty() ? std::string("the user's cache")
                                        : cache + "/libdepot/engine/current/bin"),
                     "install BuildKit, or set LIBDEPOT_ENGINE_DIR to the folder that holds it");
  }
  std::vector<std::string> folders = {folder_of(engine.buildkitd)};
  folders.insert(folders.end(), usual.begin(), usual.end());
  for (const char* sbin : {"/usr/local/sbin", "/usr/sbin", "/sbin"}) folders.push_back(sbin);
  // buildkit-runc is what BuildKit's own releases call the runc they bring.
  auto runc = find_in({folders.front()}, "buildkit-runc");
  if (!runc) runc = find_in(folders, "runc");
  if (!runc) runc = find_in(folders, "buildkit-runc");
  if (!runc) {
    return not_found("runc not found beside " + engine.buildkitd + " nor in PATH",
                     "install runc (Debian: apt install runc)");
  }
  engine.runc = *runc;
  return engine;
}

std::string default_runtime_dir(const Environment& environment, uid_t uid) {
  std::string set = environment.get_or("LIBDEPOT_RUNTIME_DIR", "");
  if (!set.empty()) return set;
  // sudo may pass the caller's on, and root's state directory is one: so is its daemon.
  if (uid == 0) return "/run/libdepot-0";
  std::string runtime = environment.get_or("XDG_RUNTIME_DIR", "");
  if (!runtime.empty() && runtime.front() == '/') return runtime + "/libdepot";
  return "/tmp/libdepot-" + std::to_string(uid);
}

Result<std::string> default_state_dir(const Environment& environment, uid_t uid) {
  std::string set = environment.get_or("LIBDEPOT_STATE_DIR", "");
  if (!set.empty()) return set;
  if (uid == 0) return std::string("/var/lib/libdepot");
  std::string base = xdg(environment, "XDG_STATE_HOME", ".local/state");
  if (base.empty()) {
    return Status(Code::kFailedPrecondition, Hop::kBuilder,
                  "no place for the local builder's state: HOME is not set")
        .with_hint("set LIBDEPOT_STATE_DIR");
  }
  return base + "/libdepot";
}

Status prepare_private_dir(const std::string& path) {
  if (path.empty() || path.front() != '/') {
    return Status(Code::kInvalidArgument, Hop::kBuilder,
                  "directory must be an absolute path: '" + path + "'");
  }
  for (size_t slash = path.find('/', 1); slash != std::string::npos;
       slash = path.find('/', slash + 1)) {
    std::string parent = path.substr(0, slash);
    if (::mkdir(parent.c_str(), 0755) != 0 && errno != EEXIST) {
      return base::errno_error(errno, "cannot make " + parent).with_hop(Hop::kBuilder);
    }
  }
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return base::errno_error(errno, "cannot make " + path).with_hop(Hop::kBuilder);
  }
  // Looked at through one descriptor, so that what is checked is what is there.
  base::UniqueFd fd(::open(path.c_str(), O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat st;
  if (!fd.valid() || ::fstat(fd.get(), &st) != 0) {
    if (errno == ELOOP || errno == ENOTDIR) {
      return Status(Code::kPermissionDenied, Hop::kBuilder,
                    path + " is not a directory (a symlink is refused)");
    }
    return base::errno_error(errno, "cannot open " + path);
  }
  if (st.st_uid != ::geteuid()) {
    return Status(Code::kPermissionDenied, Hop::kBuilder,
                  path + " belongs to user " + std::to_string(st.st_uid) + ", not to us")
        .with_hint("remove it, or choose another directory");
  }
  if ((st.st_mode & 0077) != 0) {
    return Status(Code::kPermissionDenied, Hop::kBuilder, path + " can be entered by other users")
        .with_hint("chmod 700 " + path);
  }
  return base::ok_status();
}

Status check_privileges(uid_t effective_uid) {
  if (effective_uid == 0) return base::ok_status();
  return Status(Code::kFailedPrecondition, Hop::kBuilder,
                "the local builder needs root, to mount layers and start containers; this process "
                "runs as user " +
                    std::to_string(effective_uid))
      .with_hint("run as root or with sudo, or use another builder (a Depot token, BUILDKIT_HOST)");
}

}  // namespace depot::localbuilder

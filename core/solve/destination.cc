#include "solve/destination.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

namespace depot::solve {
namespace {

using base::Status;
using base::usage_error;
namespace fs = std::filesystem;

Status refused(const std::string& path) {
  return base::errno_error(errno, "export destination " + path);
}

// Where the directories that are missing are to be made.
Status check_parent(const std::string& path) {
  std::error_code error;
  fs::path parent = fs::absolute(path, error).lexically_normal();
  if (error) return base::errno_error(error.value(), "export destination " + path);
  struct stat info {};
  do {
    fs::path above = parent.parent_path();
    if (above == parent) break;
    parent = above;
  } while (::stat(parent.c_str(), &info) != 0 && errno == ENOENT);
  if (::access((parent / "").c_str(), W_OK | X_OK) == 0) return {};
  return refused(path);
}

}  // namespace

Status check_file_destination(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return errno == ENOENT ? check_parent(path) : refused(path);
  if (S_ISDIR(info.st_mode)) {
    return usage_error("export destination '" + path + "' is a directory")
        .with_hint("name the file in it that is to be written");
  }
  // A regular file in a directory that may be written is replaced, whatever its own mode.
  if (::access(path.c_str(), W_OK) == 0) return {};
  Status why = refused(path);
  return S_ISREG(info.st_mode) && check_parent(path).ok() ? Status() : why;
}

Status check_directory_destination(const std::string& path) {
  struct stat info {};
  if (::stat(path.c_str(), &info) != 0) return errno == ENOENT ? check_parent(path) : refused(path);
  if (!S_ISDIR(info.st_mode))
    return usage_error("export destination '" + path + "' is not a directory");
  return ::access(path.c_str(), W_OK | X_OK) == 0 ? Status() : refused(path);
}

}  // namespace depot::solve

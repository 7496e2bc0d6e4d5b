#include "depotapi/config_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>
#include <yaml-cpp/yaml.h>

#include <cerrno>
#include <exception>
#include <filesystem>

#include "base/fd.h"
#include "base/secret.h"
#include "depotapi/text.h"

namespace depot::depotapi {
namespace {

using base::Code;
using base::Hop;
using base::Status;

constexpr size_t kMaxConfig = 1 << 20;

std::string shown(const std::string& path) {
  return clean_line(path, 1000);
}

}  // namespace

base::Result<std::string> read_small_file(const std::string& path, size_t limit) {
  // Not blocking on a FIFO somebody left there.
  base::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK));
  if (!fd.valid()) return base::errno_error(errno, shown(path));
  struct stat info {};
  if (::fstat(fd.get(), &info) != 0) return base::errno_error(errno, shown(path));
  if (!S_ISREG(info.st_mode))
    return Status(Code::kInvalidArgument, Hop::kLocal, shown(path) + ": not a regular file");
  std::string text;
  text.reserve(static_cast<size_t>(info.st_size) < limit ? static_cast<size_t>(info.st_size) + 1
                                                         : 0);
  char buffer[16384];
  for (;;) {
    ssize_t got = ::read(fd.get(), buffer, sizeof(buffer));
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return base::errno_error(errno, shown(path));
    if (got == 0) break;
    if (static_cast<size_t>(got) > limit - text.size()) {
      return Status(Code::kResourceExhausted, Hop::kLocal,
                    shown(path) + ": larger than " + std::to_string(limit) + " bytes");
    }
    text.append(buffer, static_cast<size_t>(got));
  }
  base::wipe(buffer, sizeof(buffer));
  return text;
}

std::string login_file(const base::Environment& environment) {
  std::string folder = environment.get_or("XDG_CONFIG_HOME", "");
  if (folder.empty() || folder.front() != '/') {
    std::string home = environment.get_or("HOME", "");
    if (home.empty()) return "";
    folder = home + "/.config";
  }
  return folder + "/depot/depot.yaml";
}

base::Result<std::optional<std::string>> yaml_value(const std::string& path,
                                                    const std::string& key) {
  auto text = read_small_file(path, kMaxConfig);
  if (text.status().code() == Code::kNotFound) return std::optional<std::string>();
  if (!text.ok()) return text.status();
  std::optional<std::string> value;
  std::string wrong;
  try {
    YAML::Node root = YAML::Load(*text);
    if (root.IsMap()) {
      YAML::Node node = root[key];
      if (node && node.IsScalar() && !node.Scalar().empty())
        value = node.Scalar();
      else if (node && !node.IsNull() && !node.IsScalar())
        wrong = "\"" + key + "\" is not a text";
    } else if (!root.IsNull()) {
      wrong = "not a map of keys and values";
    }
  } catch (const YAML::Exception& error) {
    // Its `what` may quote the file; where it happened is enough.
    wrong = "not valid YAML or JSON";
    if (!error.mark.is_null()) wrong += " (line " + std::to_string(error.mark.line + 1) + ")";
  } catch (const std::exception&) {
    wrong = "not valid YAML or JSON";
  }
  base::wipe(*text);
  if (!wrong.empty())
    return Status(Code::kInvalidArgument, Hop::kLocal, shown(path) + ": " + wrong);
  return value;
}

std::string find_project_file(const std::string& folder) {
  namespace fs = std::filesystem;
  std::error_code error;
  fs::path at = fs::absolute(folder, error).lexically_normal();
  if (error) return "";
  if (!at.has_filename()) at = at.parent_path();  // "/a/b/" is "/a/b"
  for (;;) {
    for (const char* name : {"depot.json", "depot.yml", "depot.yaml"}) {
      fs::path file = at / name;
      if (fs::is_regular_file(file, error)) return file.string();
    }
    if (at == at.parent_path() || at.empty()) return "";
    at = at.parent_path();
  }
}

}  // namespace depot::depotapi

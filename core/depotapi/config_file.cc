#include "depotapi/config_file.h"

#include <yaml-cpp/yaml.h>

#include <exception>
#include <filesystem>

#include "base/small_file.h"
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
  auto text = base::read_small_file(path, kMaxConfig);
  if (text.status().code() == Code::kNotFound) return std::optional<std::string>();
  if (!text.ok()) return text.status();
  std::string document(text->reveal());
  std::optional<std::string> value;
  std::string wrong;
  try {
    YAML::Node root = YAML::Load(document);
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
  base::wipe(document);
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

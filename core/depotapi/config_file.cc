#include "depotapi/config_file.h"

#include <yaml.h>

#include <filesystem>
#include <string_view>

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

// libyaml follows no alias, so a small file stays small; it bounds the depth at 1000.
class Yaml {
 public:
  explicit Yaml(std::string_view text) {
    if (yaml_parser_initialize(&parser_) == 0) return;
    const auto* bytes = reinterpret_cast<const unsigned char*>(text.data());
    yaml_parser_set_input_string(&parser_, bytes, text.size());
    valid_ = yaml_parser_load(&parser_, &document_) == 1;
  }
  Yaml(const Yaml&) = delete;
  Yaml& operator=(const Yaml&) = delete;
  ~Yaml() {
    yaml_document_delete(&document_);
    yaml_parser_delete(&parser_);
  }

  bool valid() const { return valid_; }
  size_t line() const { return parser_.problem_mark.line + 1; }
  // Null for a file with nothing in it.
  const yaml_node_t* root() { return yaml_document_get_root_node(&document_); }
  const yaml_node_t* at(int node) { return yaml_document_get_node(&document_, node); }

 private:
  yaml_parser_t parser_{};
  yaml_document_t document_{};
  bool valid_ = false;
};

std::string_view scalar(const yaml_node_t* node) {
  return {reinterpret_cast<const char*>(node->data.scalar.value), node->data.scalar.length};
}

bool is_null(const yaml_node_t* node) {
  if (node == nullptr) return true;
  if (node->type != YAML_SCALAR_NODE || node->data.scalar.style != YAML_PLAIN_SCALAR_STYLE)
    return false;
  for (std::string_view null : {"", "~", "null", "Null", "NULL"})
    if (scalar(node) == null) return true;
  return false;
}

const yaml_node_t* find(Yaml& yaml, const yaml_node_t* map, std::string_view key) {
  const auto& pairs = map->data.mapping.pairs;
  for (const yaml_node_pair_t* pair = pairs.start; pair != pairs.top; pair++) {
    const yaml_node_t* name = yaml.at(pair->key);
    if (name->type == YAML_SCALAR_NODE && scalar(name) == key) return yaml.at(pair->value);
  }
  return nullptr;
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
  Yaml yaml(text->reveal());
  std::optional<std::string> value;
  std::string wrong;
  const yaml_node_t* root = yaml.valid() ? yaml.root() : nullptr;
  if (!yaml.valid()) {
    // What it says of it may quote the file; where it happened is enough.
    wrong = "not valid YAML or JSON (line " + std::to_string(yaml.line()) + ")";
  } else if (root != nullptr && root->type == YAML_MAPPING_NODE) {
    const yaml_node_t* node = find(yaml, root, key);
    if (node != nullptr && node->type != YAML_SCALAR_NODE)
      wrong = "\"" + key + "\" is not a text";
    else if (!is_null(node) && !scalar(node).empty())
      value = scalar(node);
  } else if (!is_null(root)) {
    wrong = "not a map of keys and values";
  }
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

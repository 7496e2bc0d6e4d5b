#include "filesync/path_validator.h"

#include <algorithm>
#include <cstring>

#include "filesync/go_text.h"

namespace depot::filesync {
namespace {

using base::Code;
using base::Hop;
using base::Status;

Status refuse(const std::string& message) {
  return Status(Code::kInvalidArgument, Hop::kSession, message);
}

std::string quote(std::string_view text) {
  return "\"" + std::string(text) + "\"";
}

}  // namespace

int compare_paths(std::string_view a, std::string_view b) {
  size_t common = std::min(a.size(), b.size());
  for (size_t i = 0; i < common; ++i) {
    if (a[i] == b[i]) continue;
    if (a[i] == '/') return -1;
    if (b[i] == '/') return 1;
    return static_cast<uint8_t>(a[i]) < static_cast<uint8_t>(b[i]) ? -1 : 1;
  }
  return a.size() == b.size() ? 0 : a.size() < b.size() ? -1 : 1;
}

Status PathValidator::check(const Stat& stat) {
  const std::string& path = stat.path;
  if (path.empty() || path == "." || path.find('\0') != std::string::npos ||
      path != clean_path(path))
    return refuse("unclean path " + quote(path));
  if (path.front() == '/') return refuse("absolute path " + quote(path));
  if (path == ".." || path.starts_with("../")) return refuse("escape check " + quote(path));

  size_t slash = path.rfind('/');
  std::string_view dir =
      slash == std::string::npos ? std::string_view() : std::string_view(path).substr(0, slash);
  std::string_view name = slash == std::string::npos ? std::string_view(path)
                                                     : std::string_view(path).substr(slash + 1);
  while (parents_.size() > 1 && compare_paths(parents_.back().dir, dir) > 0) parents_.pop_back();
  // A directory that is left for a sibling does not come back.
  while (parents_.size() > 1 && parents_.back().dir != dir) parents_.pop_back();
  Parent& parent = parents_.back();
  if (parent.dir != dir || std::string_view(parent.last) >= name)
    return refuse("changes out of order: " + quote(path) + " " +
                  quote(join_path(parent.dir, parent.last)));
  parent.last = name;
  if (go_mode::is_dir(stat.mode)) {
    parents_.push_back({path, ""});
    return Status();
  }
  if (go_mode::is_symlink(stat.mode)) return Status();
  if (stat.linkname.empty()) {
    link_targets_.insert(std::hash<std::string>()(path));
  } else if (!link_targets_.contains(std::hash<std::string>()(stat.linkname))) {
    return refuse("invalid link " + path + " to unknown path: " + quote(stat.linkname));
  }
  return Status();
}

}  // namespace depot::filesync

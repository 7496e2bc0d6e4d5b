#include "filesync/follow_links.h"

#include <fcntl.h>
#include <limits.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <set>
#include <utility>

#include "base/fd.h"
#include "filesync/go_text.h"
#include "filesync/virtual_tree.h"

namespace depot::filesync {
namespace {

using base::Result;
using base::Status;

// Beyond what any honest tree needs. Chains of links to links through wildcards can grow without
// bound otherwise.
constexpr size_t kMaxResolved = 100000;
constexpr int kMaxDepth = 1000;

bool has_wildcards(std::string_view name) {
  for (size_t i = 0; i < name.size(); ++i) {
    if (name[i] == '\\') {
      ++i;
    } else if (name[i] == '*' || name[i] == '?' || name[i] == '[') {
      return true;
    }
  }
  return false;
}

std::string_view base_of(std::string_view path) {
  size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? path : path.substr(slash + 1);
}

// Not there, or not there for us: a symlink in the way, which would have been followed before, or a
// path that leaves the root.
bool is_absent(int error) {
  return error == ENOENT || error == ENOTDIR || error == ELOOP || error == EXDEV;
}

class Resolver {
 public:
  Resolver(const RootDir* root, const VirtualTree* overlay) : root_(root), overlay_(overlay) {}

  Status add(const std::string& path, int depth) {
    if (depth > kMaxDepth || resolved_.size() > kMaxResolved)
      return base::usage_error("too many links to follow from " + path);
    std::string rest = join_path(".", path);
    std::string current = ".";
    for (;;) {
      size_t slash = rest.find('/');
      current = join_path(current, rest.substr(0, slash));
      rest = slash == std::string::npos ? "" : rest.substr(slash + 1);

      bool is_link = false;
      std::vector<std::string> targets;
      DEPOT_TRY(read_component(current, &is_link, &targets));
      if ((rest.empty() || is_link) && resolved_.contains(current)) return Status();
      if (is_link) {
        resolved_.insert(current);
        for (const auto& target : targets) DEPOT_TRY(add(join_path(target, rest), depth + 1));
        return Status();
      }
      if (rest.empty()) {
        resolved_.insert(current);
        return Status();
      }
    }
  }

  std::vector<std::string> take() { return {resolved_.begin(), resolved_.end()}; }

 private:
  Status read_component(const std::string& path, bool* is_link, std::vector<std::string>* targets) {
    std::string pattern(base_of(path));
    if (!has_wildcards(pattern)) return read_link(path, is_link, targets);
    std::string dir = dir_of(path);
    if (root_ == nullptr) return Status();
    base::UniqueFd fd(root_->open_beneath(dir, O_RDONLY | O_DIRECTORY));
    if (!fd.valid())
      return is_absent(errno) ? Status() : base::errno_error(errno, "read directory " + dir);
    NameList names;
    if (int error = names.read(fd.get()); error != 0)
      return base::errno_error(error, "read directory " + dir);
    for (size_t i = 0; i < names.size(); ++i) {
      if (glob_match(pattern, names.name(i)) != GlobResult::kMatch) continue;
      DEPOT_TRY(read_link(join_path(dir, names.name(i)), is_link, targets));
    }
    return Status();
  }

  Status read_link(const std::string& path, bool* is_link, std::vector<std::string>* targets) {
    if (path == "." || path == ".." || path.starts_with("../")) return Status();
    if (root_ == nullptr) return Status();
    if (overlay_ != nullptr && overlay_->covers(path) != VirtualTree::Cover::kNone) return Status();
    base::UniqueFd fd(root_->open_beneath(path, O_PATH));
    struct stat info;
    if (!fd.valid() || ::fstat(fd.get(), &info) != 0)
      return is_absent(errno) ? Status() : base::errno_error(errno, "lstat " + path);
    if (!S_ISLNK(info.st_mode)) return Status();
    char text[PATH_MAX];
    ssize_t size = ::readlinkat(fd.get(), "", text, sizeof text);
    if (size < 0) return base::errno_error(errno, "readlink " + path);
    std::string link = clean_path({text, static_cast<size_t>(size)});
    *is_link = true;
    if (link.front() != '/') link = join_path("/", join_path(dir_of(path), link));
    targets->push_back(std::move(link));
    return Status();
  }

  const RootDir* root_;
  const VirtualTree* overlay_;
  std::set<std::string> resolved_;
};

}  // namespace

std::optional<std::vector<std::string>> dedupe_paths(std::vector<std::string> paths) {
  std::vector<std::string> kept;
  std::string below = "/";
  for (auto& path : paths) {
    if (path == ".") return std::nullopt;
    if (path.starts_with(below)) continue;
    below = path + "/";
    kept.push_back(std::move(path));
  }
  return kept;
}

Result<std::optional<std::vector<std::string>>> follow_links(const RootDir* root,
                                                             std::span<const std::string> paths,
                                                             const VirtualTree* overlay) {
  Resolver resolver(root, overlay);
  for (const auto& path : paths) DEPOT_TRY(resolver.add(path, 0));
  return dedupe_paths(resolver.take());
}

}  // namespace depot::filesync

#include "filesync/virtual_tree.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "filesync/go_text.h"
#include "filesync/path_validator.h"

namespace depot::filesync {
namespace {

using base::Result;
using base::Status;
using base::usage_error;

constexpr int64_t kSecond = 1000000000;
constexpr int64_t kTime = 315532800 * kSecond;  // 1980-01-01, the first day that a zip can hold
constexpr uint32_t kDirectoryMode = go_mode::kDir | 0755;

// FNV-1a, and its halves mixed: which bytes do not matter, that they differ does.
int64_t fraction_of(std::string_view bytes) {
  uint64_t hash = 0xcbf29ce484222325u;
  for (unsigned char c : bytes) hash = (hash ^ c) * 0x100000001b3u;
  hash ^= hash >> 32;
  hash *= 0x9e3779b97f4a7c15u;
  return static_cast<int64_t>((hash >> 20) % kSecond);
}

int64_t fraction_of_now() {
  timespec now{};
  ::clock_gettime(CLOCK_REALTIME, &now);
  return (now.tv_nsec + now.tv_sec * 7919) % kSecond;
}

std::string_view parent_of(std::string_view path) {
  size_t slash = path.rfind('/');
  return slash == std::string_view::npos ? std::string_view() : path.substr(0, slash);
}

Status add_to(VirtualTree::Nodes* nodes, const std::string& given, VirtualFile file, bool replace) {
  DEPOT_ASSIGN(std::string path, clean_file_path(given));
  if ((file.mode & ~07777u) != 0)
    return usage_error("file " + path + ": its mode is not 0 to 07777");
  auto found = nodes->find(path);
  if (found != nodes->end() && !found->second.file)
    return usage_error("file " + path + ": there are files below it");
  if (found != nodes->end() && !replace) return usage_error("file " + path + " is given twice");
  for (std::string_view dir = parent_of(path); !dir.empty(); dir = parent_of(dir)) {
    auto above = nodes->find(dir);
    if (above != nodes->end() && above->second.file)
      return usage_error("file " + path + " lies below the file " + above->first);
  }
  for (std::string_view dir = parent_of(path); !dir.empty(); dir = parent_of(dir))
    nodes->try_emplace(std::string(dir), VirtualTree::Node{nullptr, kTime});
  int64_t time = file.read ? kTime : kTime + fraction_of(file.bytes);
  (*nodes)[path] = {std::make_shared<const VirtualFile>(std::move(file)), time};
  return Status();
}

}  // namespace

Result<std::string> clean_file_path(const std::string& path) {
  auto bad = [&](const char* why) { return usage_error("file '" + path + "': " + why); };
  if (path.empty()) return usage_error("a file needs a path");
  if (path.find('\0') != std::string::npos)
    return usage_error("file '" + path.substr(0, path.find('\0')) + "': its path holds a NUL byte");
  if (path.front() == '/') {
    return bad("its path is absolute").with_hint("paths are relative to the context");
  }
  if (path.back() == '/') return bad("it is called like a directory");
  if (to_valid_utf8(path) != path) return bad("its path is not UTF-8");
  for (size_t at = 0; at <= path.size();) {
    size_t end = std::min(path.find('/', at), path.size());
    std::string_view part = std::string_view(path).substr(at, end - at);
    if (part == "..") return bad("its path holds '..'");
    if (part.size() > 255) return bad("a part of its path is longer than 255 bytes");
    at = end + 1;
  }
  std::string clean = clean_path(path);
  if (clean == ".") return bad("its path is the context itself");
  if (clean.size() >= Walker::kMaxPath) return bad("its path is too long");
  return clean;
}

bool VirtualTree::PathLess::operator()(std::string_view a, std::string_view b) const {
  return compare_paths(a, b) < 0;
}

Status VirtualTree::add(const std::string& path, VirtualFile file) {
  return add_to(&nodes_, path, std::move(file), false);
}

Status VirtualTree::set(const std::string& path, VirtualFile file) {
  return add_to(&nodes_, path, std::move(file), true);
}

VirtualTree::Cover VirtualTree::covers(std::string_view path) const {
  auto found = nodes_.find(path);
  if (found == nodes_.end()) return Cover::kNone;
  return found->second.file ? Cover::kFile : Cover::kDirectory;
}

const VirtualFile* VirtualTree::file(std::string_view path) const {
  auto found = nodes_.find(path);
  return found == nodes_.end() ? nullptr : found->second.file.get();
}

OverlaySink::OverlaySink(const VirtualTree& tree, const EntryFilter& filter, const RootDir* root,
                         EntrySink& out)
    : tree_(tree),
      filter_(filter),
      root_(root),
      out_(out),
      next_(tree.nodes().begin()),
      now_(fraction_of_now()) {}

bool OverlaySink::add(const StatView& stat) {
  if (!flush_before(stat.path)) return false;
  if (next_ != tree_.nodes().end() && next_->first == stat.path) {
    const auto& [path, node] = *next_++;
    return visit(path, node, &stat);
  }
  return out_.add(stat);
}

bool OverlaySink::finish() {
  for (; next_ != tree_.nodes().end(); ++next_)
    if (!visit(next_->first, next_->second, nullptr)) return false;
  return true;
}

bool OverlaySink::flush_before(std::string_view path) {
  while (next_ != tree_.nodes().end() && compare_paths(next_->first, path) < 0) {
    if (!visit(next_->first, next_->second, nullptr)) return false;
    ++next_;
  }
  return true;
}

// `found`: the walk has the directory as well, and is about to send it.
bool OverlaySink::visit(const std::string& path, const VirtualTree::Node& node,
                        const StatView* found) {
  std::string_view parent = parent_of(path);
  while (!levels_.empty() && *levels_.back().path != parent) levels_.pop_back();
  if (!levels_.empty() && !levels_.back().descend) {
    if (!node.file) levels_.push_back({&path, 0, {}, false, false});
    return true;
  }
  const EntryFilter::DirState& around =
      levels_.empty() ? filter_.root_state() : levels_.back().state;
  EntryFilter::DirState state;
  EntryFilter::Verdict verdict{true, true};
  if (!filter_.keeps_all()) {
    auto checked = filter_.check(path, !node.file, around, &state);
    if (!checked.ok()) {
      failure_ = checked.status();
      return false;
    }
    verdict = *checked;
  }
  if (!node.file) {
    // Sent by the walk for what lies in it, perhaps, and not for itself.
    if (found != nullptr && !out_.add(*found)) return false;
    levels_.push_back({&path, node.mod_time, std::move(state), verdict.descend, found != nullptr});
    return found != nullptr || !verdict.keep || emit_parents();
  }
  if (!verdict.keep) return true;
  if (!emit_parents()) return false;
  StatView stat;
  stat.path = path;
  stat.mode = go_mode::from_stat(S_IFREG | node.file->mode);
  stat.mod_time = node.file->read ? node.mod_time + now_ : node.mod_time;
  stat.size =
      static_cast<int64_t>(node.file->read ? node.file->size.value_or(0) : node.file->bytes.size());
  return out_.add(stat);
}

bool OverlaySink::emit_parents() {
  return std::all_of(levels_.begin(), levels_.end(),
                     [this](Level& level) { return level.emitted || emit_directory(level); });
}

bool OverlaySink::emit_directory(Level& level) {
  level.emitted = true;
  StatView stat;
  stat.path = *level.path;
  stat.mode = kDirectoryMode;
  stat.mod_time = level.mod_time;
  struct stat info {};
  if (root_ != nullptr) {
    // One that the walk did not send, since nothing else in it is wanted.
    base::UniqueFd fd(root_->open_beneath(*level.path, O_PATH | O_DIRECTORY));
    if (fd.valid() && ::fstat(fd.get(), &info) == 0) {
      stat.mode = go_mode::from_stat(info.st_mode);
      stat.mod_time = info.st_mtim.tv_sec * kSecond + info.st_mtim.tv_nsec;
    }
  }
  return out_.add(stat);
}

Status walk_tree(const TreeView& tree, const EntryFilter& filter, bool reset_owner,
                 EntrySink& out) {
  Walker::Options options;
  options.reset_owner = reset_owner;
  options.overlay = tree.overlay;
  if (tree.overlay == nullptr) return Walker(*tree.root, filter, options, out).run();
  OverlaySink merged(*tree.overlay, filter, tree.root, out);
  Status status;
  if (tree.root != nullptr) status = Walker(*tree.root, filter, options, merged).run();
  if (status.ok() && !merged.finish()) status = base::cancelled_error();
  return merged.failure().ok() ? status : merged.failure();
}

}  // namespace depot::filesync

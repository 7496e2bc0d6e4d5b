// TreeDisk's regular files, and what is done when all is there.
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/xattr.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <unordered_set>

#include "base/id.h"
#include "filesync/tree_disk.h"

namespace depot::filesync {

using base::Code;
using base::Hop;
using base::Status;

namespace {

// A sender works on four files at a time; one that begins thousands makes us close and open again.
constexpr size_t kMostOpen = 64;
constexpr size_t kMostDepth = 512;  // of what is removed; each level has a descriptor

void set_times(int fd, int64_t time) {
  (void)::futimens(fd, BothTimes(time).times);
}

void set_xattrs(int fd, const std::vector<std::pair<std::string, std::string>>& xattrs) {
  for (const auto& [key, value] : xattrs)
    (void)::fsetxattr(fd, key.c_str(), value.data(), value.size(), 0);  // as BuildKit's own client
}

}  // namespace

void TreeDisk::close_oldest() {
  auto& oldest = open_.at(used_.front());
  oldest.fd.reset();
  oldest.used = used_.end();
  used_.pop_front();
}

base::Result<TreeDisk::Open*> TreeDisk::open_file(uint32_t id) {
  auto found = open_.find(id);
  if (found != open_.end() && found->second.fd.valid()) return &found->second;
  int dir = dir_fd(entries_[id].parent);
  if (dir < 0) return failed(errno, id);
  if (used_.size() == kMostOpen) close_oldest();
  std::string own = name(entries_[id]);
  constexpr int kFlags = O_WRONLY | O_NOFOLLOW | O_CLOEXEC | O_NOCTTY;
  if (found == open_.end()) {
    Open made;
    made.used = used_.end();
    // Written by us, whatever its own mode; that comes with its end.
    mode_t mode = (go_mode::to_permissions(entries_[id].mode) & 0777) | 0200;
    made.fd.reset(::openat(dir, own.c_str(), kFlags | O_CREAT | O_EXCL, mode));
    if (!made.fd.valid() && errno == EEXIST) {
      made.temporary = ".tmp." + base::random_hex(8);
      made.fd.reset(::openat(dir, made.temporary.c_str(), kFlags | O_CREAT | O_EXCL, mode));
    }
    if (!made.fd.valid()) return failed(errno, id);
    found = open_.emplace(id, std::move(made)).first;
  } else {
    const std::string& as = found->second.temporary.empty() ? own : found->second.temporary;
    found->second.fd.reset(::openat(dir, as.c_str(), kFlags | O_APPEND));
    if (!found->second.fd.valid()) return failed(errno, id);
  }
  found->second.used = used_.insert(used_.end(), id);
  return &found->second;
}

Status TreeDisk::data(uint32_t id, std::span<const uint8_t> bytes) {
  DEPOT_ASSIGN(Open * file, open_file(id));
  if (bytes.size() > static_cast<uint64_t>(std::max<int64_t>(entries_[id].size, 0)) -
                         static_cast<uint64_t>(file->written)) {
    return Status(Code::kDataLoss, Hop::kSession,
                  "the builder sent more of " + path(id) + " than the " +
                      std::to_string(entries_[id].size) + " bytes it announced");
  }
  while (!bytes.empty()) {
    ssize_t wrote = ::write(file->fd.get(), bytes.data(), bytes.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return failed(errno, id);
    file->written += wrote;
    totals_.bytes += static_cast<uint64_t>(wrote);
    bytes = bytes.subspan(static_cast<size_t>(wrote));
  }
  return {};
}

Status TreeDisk::end_file(uint32_t id) {
  DEPOT_ASSIGN(Open * file, open_file(id));
  Entry& entry = entries_[id];
  if (file->written != entry.size) {
    return Status(Code::kDataLoss, Hop::kSession,
                  "the builder sent " + std::to_string(file->written) + " of the " +
                      std::to_string(entry.size) + " bytes of " + path(id));
  }
  int fd = file->fd.get();
  if (auto found = xattrs_.find(id); found != xattrs_.end()) {
    set_xattrs(fd, found->second);
    for (const auto& [key, value] : found->second) xattr_bytes_ -= key.size() + value.size();
    xattrs_.erase(found);
  }
  uint32_t mode = permissions(entry.mode);
  bool as_made = (mode & 07000) == 0 && (mode & umask_) == 0 && (mode & 0200) != 0;
  if (!as_made && ::fchmod(fd, mode) != 0) return failed(errno, id);
  set_times(fd, entry.mod_time);
  // close() is where a network file system tells that the disk is full.
  if (::close(file->fd.release()) != 0) return failed(errno, id);
  if (file->used != used_.end()) used_.erase(file->used);
  std::string temporary = std::move(file->temporary);
  open_.erase(id);
  entry.done = true;
  ++totals_.files;
  return temporary.empty() ? Status() : replace(id, dir_fd(entry.parent), temporary);
}

Status TreeDisk::finish() {
  for (const auto& [id, target] : links_) DEPOT_TRY(make_link(id, target));
  if (options_.remove_others) DEPOT_TRY(remove_others());
  return finish_dirs();
}

// Children first: making them has touched their directory.
Status TreeDisk::finish_dirs() {
  dirs_.clear();
  for (uint32_t id = static_cast<uint32_t>(entries_.size()); id-- > 0;) {
    const Entry& entry = entries_[id];
    if (!go_mode::is_dir(entry.mode)) continue;
    std::string below = path(id).substr(root_.path().size() + 1);
    base::UniqueFd fd(root_.open_beneath(below, O_RDONLY | O_DIRECTORY));
    if (!fd.valid()) return failed(errno, id);
    if (auto found = xattrs_.find(id); found != xattrs_.end()) set_xattrs(fd.get(), found->second);
    if (::fchmod(fd.get(), permissions(entry.mode)) != 0) return failed(errno, id);
    set_times(fd.get(), entry.mod_time);
  }
  return {};
}

Status TreeDisk::remove_others() {
  struct Hash {
    size_t operator()(const std::pair<uint32_t, std::string_view>& key) const {
      return std::hash<std::string_view>()(key.second) ^ key.first * 0x9e3779b97f4a7c15ull;
    }
  };
  std::unordered_set<std::pair<uint32_t, std::string_view>, Hash> sent;
  std::vector<uint32_t> dirs = {kRoot};
  for (uint32_t id = 0; id < entries_.size(); ++id) {
    const Entry& entry = entries_[id];
    sent.emplace(entry.parent, std::string_view(names_).substr(entry.name_at, entry.name_size));
    if (go_mode::is_dir(entry.mode)) dirs.push_back(id);
  }
  NameList list;
  for (uint32_t dir : dirs) {
    std::string below = dir == kRoot ? "" : path(dir).substr(root_.path().size() + 1);
    base::UniqueFd fd(root_.open_beneath(below, O_RDONLY | O_DIRECTORY));
    int error = fd.valid() ? list.read(fd.get()) : errno;
    for (size_t i = 0; error == 0 && i < list.size(); ++i) {
      if (!sent.contains({dir, list.name(i)}))
        error = remove_tree(fd.get(), std::string(list.name(i)), &totals_.removed);
    }
    if (error != 0)
      return base::errno_error(error, "cannot remove what is not exported from " + path(dir));
  }
  return {};
}

void TreeDisk::give_up() {
  for (auto& [id, file] : open_) {
    int dir = dir_fd(entries_[id].parent);
    std::string as = file.temporary.empty() ? name(entries_[id]) : file.temporary;
    if (dir >= 0) ::unlinkat(dir, as.c_str(), 0);
  }
  open_.clear();
  used_.clear();
}

int remove_tree(int dir, const std::string& name, uint64_t* count) {
  struct Level {
    base::UniqueFd fd;
    std::string name;
    NameList list;
    size_t at = 0;
  };
  if (::unlinkat(dir, name.c_str(), 0) == 0) {
    ++*count;
    return 0;
  }
  if (errno != EISDIR && errno != EPERM) return errno;
  constexpr int kOpen = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  std::vector<Level> levels;
  auto enter = [&](int from, const std::string& what) {
    if (levels.size() == kMostDepth) return ELOOP;
    Level level;
    level.name = what;
    level.fd.reset(::openat(from, what.c_str(), kOpen));
    if (!level.fd.valid()) return errno;
    int error = level.list.read(level.fd.get());
    levels.push_back(std::move(level));
    return error;
  };
  if (int error = enter(dir, name); error != 0) return error;
  while (!levels.empty()) {
    Level& level = levels.back();
    if (level.at < level.list.size()) {
      std::string next(level.list.name(level.at++));
      if (::unlinkat(level.fd.get(), next.c_str(), 0) == 0) {
        ++*count;
        continue;
      }
      if (errno != EISDIR && errno != EPERM) return errno;
      if (int error = enter(level.fd.get(), next); error != 0) return error;
      continue;
    }
    std::string done = std::move(level.name);
    levels.pop_back();
    int above = levels.empty() ? dir : levels.back().fd.get();
    if (::unlinkat(above, done.c_str(), AT_REMOVEDIR) != 0) return errno;
    ++*count;
  }
  return 0;
}

}  // namespace depot::filesync

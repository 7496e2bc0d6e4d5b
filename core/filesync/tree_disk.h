// The disk's side of TreeWriter: what each step does. One thread at a time. Private to the module.
#pragma once

#include <sys/types.h>
#include <time.h>

#include <cstdint>
#include <list>
#include <map>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "base/fd.h"
#include "base/status.h"
#include "filesync/packet.h"
#include "filesync/root_dir.h"
#include "filesync/tree_writer.h"

namespace depot::filesync {

class TreeDisk {
 public:
  TreeDisk(RootDir root, const TreeOptions& options);

  base::Status entry(uint32_t id, const Stat& stat);
  base::Status data(uint32_t id, std::span<const uint8_t> bytes);
  base::Status end_file(uint32_t id);
  base::Status finish();
  // Removes files that were begun and are not whole.
  void give_up();

  const TreeTotals& totals() const { return totals_; }

 private:
  static constexpr uint32_t kRoot = UINT32_MAX;  // the directory that everything is in

  struct Entry {
    uint32_t parent;  // id of its directory, or kRoot
    uint32_t name_at;
    uint16_t name_size;
    bool done = false;
    uint32_t mode;
    int64_t mod_time;
    int64_t size;
  };
  // A file whose content is coming. Not more than kMostOpen of them have a descriptor.
  struct Open {
    base::UniqueFd fd;
    int64_t written = 0;
    std::string temporary;  // its name meanwhile, where something else has its own
    std::list<uint32_t>::iterator used;
  };
  struct DirFd {
    uint32_t dir;
    base::UniqueFd fd;
  };

  std::string name(const Entry& entry) const {
    return names_.substr(entry.name_at, entry.name_size);
  }
  std::string path(uint32_t id) const;
  base::Status failed(int error, uint32_t id) const;
  base::Result<uint32_t> parent_of(std::string_view dir);
  // Borrowed until the next call. Negative and errno when it cannot be opened.
  int dir_fd(uint32_t dir);
  uint32_t permissions(uint32_t mode);
  base::Status keep_xattrs(uint32_t id, const Stat& stat);

  base::Status make_dir(uint32_t id);
  base::Status make_symlink(uint32_t id, const std::string& target);
  base::Status make_node(uint32_t id, const Stat& stat);
  base::Status make_link(uint32_t id, const std::string& target);
  // make(dir, name): creates it or says EEXIST; then it is made beside and put in place.
  template <class Make>
  base::Status put(uint32_t id, Make make);
  base::Status replace(uint32_t id, int dir, const std::string& temporary);

  base::Result<Open*> open_file(uint32_t id);
  void close_oldest();
  base::Status finish_dirs();
  base::Status remove_others();

  RootDir root_;
  const TreeOptions options_;
  const mode_t umask_;
  std::vector<Entry> entries_;
  std::string names_;
  std::vector<std::pair<std::string, uint32_t>> stack_;  // directories on the way to the last entry
  std::vector<std::pair<uint32_t, std::string>> links_;  // made at last: their targets exist then
  std::map<uint32_t, std::vector<std::pair<std::string, std::string>>> xattrs_;  // to be set
  size_t xattr_bytes_ = 0;                                                       // of them
  std::unordered_map<uint32_t, Open> open_;
  std::list<uint32_t> used_;  // with a descriptor; the oldest first
  std::vector<DirFd> dirs_;   // the newest first
  TreeTotals totals_;
};

// The same moment as access and modification time, for utimensat().
struct BothTimes {
  timespec times[2];
  explicit BothTimes(int64_t ns);
};

// Removes `name` in `dir` and, if it is a directory, all beneath it; follows no link. errno or 0.
int remove_tree(int dir, const std::string& name, uint64_t* count);

}  // namespace depot::filesync

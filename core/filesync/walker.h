// Walks a directory tree in the order of the exchange (protocol.md 4.3): each directory before its
// children, children by the bytes of their names, symlinks never followed.
//
// Runs on one thread of its own (xattr.h says why) and blocks on the disk as it likes. Entries that
// vanish meanwhile are left out. What is not sent is not lstat'ed; a directory without anything to
// send is not read. At most kMaxOpenDirs directories are open at a time, however deep the tree.
#pragma once

#include <sys/stat.h>

#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/fd.h"
#include "base/status.h"
#include "filesync/entry_filter.h"
#include "filesync/packet.h"
#include "filesync/root_dir.h"
#include "filesync/xattr.h"

namespace depot::filesync {

class VirtualTree;

// Takes the entries of a walk, in order.
class EntrySink {
 public:
  virtual ~EntrySink() = default;
  // False ends the walk. `stat` is valid during the call alone.
  virtual bool add(const StatView& stat) = 0;
  // Asked at every directory, since a walk may go on for long without an entry to add. False ends
  // the walk.
  virtual bool wanted() const { return true; }
};

class Walker {
 public:
  struct Options {
    bool reset_owner = true;
    XattrReader::Way xattr_way = XattrReader::Way::kAt;
    const VirtualTree* overlay = nullptr;  // what it hides is left out
  };
  static constexpr size_t kMaxOpenDirs = 64;
  static constexpr size_t kMaxPath = 4096;  // of a path below the root, with its terminating zero

  Walker(const RootDir& root, const EntryFilter& filter, const Options& options, EntrySink& sink);

  // kCancelled if the sink ended it.
  base::Status run();

 private:
  struct Frame {
    base::UniqueFd fd;  // may be closed meanwhile: ensure_open()
    dev_t device = 0;
    ino_t inode = 0;
    size_t path_size = 0;  // of path_ up to and with this directory's slash
    NameList names;
    size_t next = 0;
    EntryFilter::DirState state;
    bool emitted = false;
  };
  struct FileId {
    dev_t device;
    ino_t inode;
    bool operator==(const FileId&) const = default;
  };
  struct FileIdHash {
    size_t operator()(const FileId& id) const {
      return std::hash<uint64_t>()(id.inode * 0x9e3779b97f4a7c15u + id.device);
    }
  };

  Frame& top() { return frames_[depth_ - 1]; }
  base::Status visit(std::string_view name, uint8_t type);
  base::Status push(bool kept);
  bool ensure_open(size_t depth);
  base::Status emit_parents();
  // Emits the entry at path_; `fd` is it, opened, or -1. vanished: nothing was emitted.
  base::Status emit(std::string_view path, int fd, const struct stat& info, bool* vanished);
  base::Status fail(int error, const char* what, std::string_view path) const;

  const RootDir& root_;
  const EntryFilter& filter_;
  const Options options_;
  EntrySink& sink_;
  XattrReader xattrs_;
  std::vector<Frame> frames_;  // the first depth_ are in use; the others keep their memory
  size_t depth_ = 0;
  int entered_ = -1;  // directory that xattrs_ is in
  std::string path_;  // of the entry at hand
  std::string name_;
  EntryFilter::DirState child_state_;
  std::unordered_map<FileId, std::string, FileIdHash> links_;  // first paths of hard links
  Xattrs found_xattrs_;
};

}  // namespace depot::filesync

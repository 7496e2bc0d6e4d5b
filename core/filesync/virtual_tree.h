// Files that the caller gives, as bytes or as a function that reads them: alone, or laid over a
// directory, where they stand at their paths whatever the directory has there. Their parents are
// directories; one that the directory has, too, keeps its mode and time.
//
// Time: 1980-01-01, and of content that is bytes a fraction of a second made from it. A builder
// compares size, mode and time of a file to tell whether it has it already; image layers hold whole
// seconds. So what did not change is not sent again, what changed is, and images stay the same.
// Content that comes from a function is taken as changed for every build.
//
// Once filled it is never changed: any number of threads may read it.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "filesync/entry_filter.h"
#include "filesync/walker.h"

namespace depot::filesync {

// Content from `offset` on, as much as there is and fits; 0: that was all. On pool threads, of
// several transfers at the same time; may block.
using ReadContent = std::function<base::Result<size_t>(uint64_t offset, std::span<uint8_t> out)>;

struct VirtualFile {
  std::string bytes;
  ReadContent read;              // instead of bytes
  std::optional<uint64_t> size;  // of what `read` gives, if it is known
  uint32_t mode = 0644;          // permission bits
};

class VirtualTree {
 public:
  enum class Cover { kNone, kDirectory, kFile };
  struct Node {
    std::shared_ptr<const VirtualFile> file;  // null: a directory
    int64_t mod_time = 0;
  };
  struct PathLess {
    using is_transparent = void;
    bool operator()(std::string_view a, std::string_view b) const;
  };
  using Nodes = std::map<std::string, Node, PathLess>;

  // Usage errors: a path that is absolute, leaves the tree or holds a NUL; a file where there is
  // one already, or below one.
  base::Status add(const std::string& path, VirtualFile file);
  // The same, but a file that is there gives way.
  base::Status set(const std::string& path, VirtualFile file);

  // What stands at a clean path.
  Cover covers(std::string_view path) const;
  const VirtualFile* file(std::string_view path) const;
  // In the order of a walk, each directory before what is in it.
  const Nodes& nodes() const { return nodes_; }
  bool empty() const { return nodes_.empty(); }

 private:
  Nodes nodes_;
};

// "./a//b" becomes "a/b"; refuses what VirtualTree::add() refuses.
base::Result<std::string> clean_file_path(const std::string& path);

// Puts the files of a tree into the walk of the directory below it. The walker itself leaves out
// what they hide.
class OverlaySink final : public EntrySink {
 public:
  // `root` null: there is no directory.
  OverlaySink(const VirtualTree& tree, const EntryFilter& filter, const RootDir* root,
              EntrySink& out);

  bool add(const StatView& stat) override;
  bool wanted() const override { return out_.wanted(); }
  // After the walk: what comes behind its last entry.
  bool finish();
  // Why add() or finish() said no; ok: because the sink behind did.
  const base::Status& failure() const { return failure_; }

 private:
  struct Level {
    const std::string* path;
    int64_t mod_time;
    EntryFilter::DirState state;
    bool descend;
    bool emitted;
  };

  bool flush_before(std::string_view path);
  bool visit(const std::string& path, const VirtualTree::Node& node, const StatView* found);
  bool emit_directory(Level& level);
  bool emit_parents();

  const VirtualTree& tree_;
  const EntryFilter& filter_;
  const RootDir* root_;
  EntrySink& out_;
  VirtualTree::Nodes::const_iterator next_;
  std::vector<Level> levels_;
  const int64_t now_;
  base::Status failure_;
};

// A directory, a tree of files, or the second over the first, in the order of the exchange.
struct TreeView {
  const RootDir* root = nullptr;
  const VirtualTree* overlay = nullptr;
};
base::Status walk_tree(const TreeView& tree, const EntryFilter& filter, bool reset_owner,
                       EntrySink& out);

}  // namespace depot::filesync

// Which entries of a tree are sent: include patterns, exclude patterns and followed paths put
// together as fsutil's FilterFS does (protocol.md 4.4), and which directories need not be read at
// all. Skipping never changes the result: it is done only where no pattern can match below.
//
// const methods may run on any number of threads.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "filesync/pattern_matcher.h"
#include "filesync/root_dir.h"
#include "filesync/sender.h"

namespace depot::filesync {

class VirtualTree;

class EntryFilter {
 public:
  // What children of a directory inherit.
  struct DirState {
    MatchState include;
    MatchState exclude;
    bool included = true;  // by the include patterns alone
  };
  struct Verdict {
    bool keep = false;
    bool descend = false;  // directories: something below may be kept
  };

  // Reads symlinks below `root` for filter.follow_paths; null: there is no directory. What stands
  // in `overlay` is no symlink.
  static base::Result<EntryFilter> create(const Filter& filter, const RootDir* root,
                                          const VirtualTree* overlay = nullptr);

  // True if everything is kept and check() need not be asked.
  bool keeps_all() const { return !has_include_ && exclude_.empty(); }
  DirState root_state() const;
  // `parent` is the state of the directory around; `state` is set for directories alone. Fails on a
  // pattern whose syntax error shows only in use.
  base::Result<Verdict> check(std::string_view path, bool is_dir, const DirState& parent,
                              DirState* state) const;
  // Whether the content of a kept file may be read: upstream asks the patterns once more, without
  // the parents' state, and with '!' rules that can differ.
  bool may_read(std::string_view path) const;

  // If all that could be kept directly in `dir` has a name that is known from the patterns: those
  // names, and true. Saves reading a large directory for one Dockerfile.
  bool known_names(std::string_view dir_slash, const DirState& state,
                   std::vector<std::string>* names) const;

 private:
  bool has_include_ = false;  // also with blank patterns alone: then nothing is included
  bool any_bad_ = false;      // then no question is left out: upstream would meet the error
  PatternMatcher include_;
  PatternMatcher exclude_;
};

}  // namespace depot::filesync

// Trees on the disk: what they take there, and their removal.
//
// Caches hold what a Dockerfile made, so nothing in them is believed: symlinks are never followed,
// other file systems never entered, and depth is no danger. Everything goes by descriptors, so what
// is looked at is what is counted or removed, also while somebody else moves it about.
//
// Threads: any; all block, until the deadline or `cancel`.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "base/cancel.h"
#include "base/status.h"

namespace depot::localbuilder {

// Blocks, as du counts them: each file once, however many names it has.
struct DiskSize {
  int64_t bytes = 0;
  // False: something was not looked at (a limit of time, entries or depth), so there is more.
  bool complete = true;
};

// Of the directory `name` in `directory` and all below. What vanishes meanwhile does not count.
// An error only if it is not there (kNotFound), or no directory (kFailedPrecondition).
base::Result<DiskSize> size_on_disk(int directory, const std::string& name,
                                    const base::Cancel& cancel,
                                    std::chrono::steady_clock::time_point deadline);

// What is to be removed is called so first. No project's name begins with a dot.
inline constexpr char kAsidePrefix[] = ".trash-";

// Removes `name` in `directory` and all below; its blocks in bytes. What is very deep is moved to
// `directory` first, under a name with kAsidePrefix. What somebody else removed first is no error.
// kCancelled and kDeadlineExceeded leave the rest where it is, and so does any failure.
base::Result<int64_t> remove_tree(int directory, const std::string& name,
                                  const base::Cancel& cancel,
                                  std::chrono::steady_clock::time_point deadline);

}  // namespace depot::localbuilder

// What a receiver of the fsutil exchange puts on the disk: a tree of files beneath one directory.
//
// Work comes as steps, in the order of the stream, and is done by one task at a time on a pool of
// the caller's, so that no disk ever holds the stream's reader up (moby/buildkit#2950); what waits
// is bounded by the caller, who asks queued() and holds the peer back.
//
// Safety. Everything is done by names in directories that were opened beneath the root without
// following a symlink, so nothing that is in the tree, or was sent before, leads out of it. Owners
// are the caller's. Set-user and set-group bits are dropped and devices refused unless asked for.
// What exists is replaced when its successor is whole; a directory that exists stays, with what is
// in it. A file that was begun and did not become whole is removed.
//
// Of a large tree, the last 128 KiB that came may wait for more to come, or for finish().
//
// Memory: 32 bytes and the name for each entry, while the exchange lasts, and what waits.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <span>
#include <string>

#include "base/pool.h"
#include "base/status.h"
#include "filesync/packet.h"

namespace depot::filesync {

struct TreeOptions {
  std::string root;            // made, with its parents (0700), when the first entry comes
  bool keep_setuid = false;    // S_ISUID and S_ISGID as sent
  bool devices = false;        // make device nodes, which needs privileges
  bool remove_others = false;  // what was not sent is removed from the directories that were
};

struct TreeTotals {
  uint64_t entries = 0;
  uint64_t files = 0;  // with content, whole
  uint64_t bytes = 0;
  uint64_t setuid_dropped = 0;
  uint64_t removed = 0;
};

class TreeWriter {
 public:
  // `wake`: less waits than did, all is finished, or it failed; any thread, must not block.
  // The pool is not held: who began this outlives it.
  static std::shared_ptr<TreeWriter> start(TreeOptions options,
                                           const std::shared_ptr<base::Pool>& pool,
                                           std::function<void()> wake);
  virtual ~TreeWriter() = default;

  // The next entry, `id` counted from 0 without a gap, as the STAT packet that told of it; its path
  // has been through PathValidator. Copied.
  virtual void add_entry(uint32_t id, std::span<const uint8_t> packet) = 0;
  // Content of a regular file, in order; copied.
  virtual void add_data(uint32_t id, std::span<const uint8_t> data) = 0;
  // All content of that file has come.
  virtual void end_file(uint32_t id) = 0;
  // After the last entry and file: links, the directories' own times and modes, what is to be
  // removed.
  virtual void finish() = 0;
  // Gives up: no step after this one is begun, files that are not whole are removed.
  virtual void abort() = 0;

  // Bytes that wait for the disk.
  virtual size_t queued() const = 0;
  virtual bool finished() const = 0;
  // The first failure; nothing is done after it.
  virtual base::Status status() const = 0;
  virtual TreeTotals totals() const = 0;
};

}  // namespace depot::filesync

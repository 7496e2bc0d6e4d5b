// What the threads of one Sender share: blocks of finished messages on their way to fill(), the ids
// that may be asked for, and the requests that wait for a reader. Private to the module.
//
// Threads: the walker and the readers push blocks, the loop takes them; one mutex for all. Reading
// from the disk happens outside of it.
//
// Readers open files, read small ones, and of large ones the first block. What follows of those is
// read by the loop itself when it wants it, as far as it is in memory already: no thread has to
// wake, and what is encrypted next is still in the processor's cache. What would wait for a disk
// goes back to a reader, which then reads ahead.
#pragma once

#include <sys/uio.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/log.h"
#include "base/status.h"
#include "filesync/entry_filter.h"
#include "filesync/id_table.h"
#include "filesync/packet.h"
#include "filesync/root_dir.h"
#include "filesync/virtual_tree.h"

namespace depot::filesync {

// Whole gRPC messages, back to back.
struct Block {
  std::unique_ptr<uint8_t[]> bytes;
  size_t capacity = 0;
  size_t size = 0;
  enum Kind : uint8_t { kStats, kData, kWords } kind = kWords;  // what its memory counts as
  uint64_t stats = 0;                                           // STATs in it
  uint64_t data_bytes = 0;                                      // file content in it
  IdChunk ids;                                                  // of its STATs
  bool last = false;                                            // the exchange ends with it,
  base::Status outcome;                                         // this way

  static Block with_capacity(Kind kind, size_t capacity);
  // ERR with the text of `outcome`, and the end.
  static Block of_error(const base::Status& outcome);
  uint8_t* end() { return bytes.get() + size; }
  size_t room() const { return capacity - size; }
};

inline constexpr size_t kStatBlock = 64 << 10;
// A message is what fills an HTTP/2 frame: larger ones gain nothing there.
inline constexpr size_t kDataMessage = 16 << 10;
// A block stays below 128 KiB, from where on malloc would map and unmap it each time.
inline constexpr size_t kMessagesPerBlock = 7;
inline constexpr size_t kDataBlock = kMessagesPerBlock * kDataMessage + 64;
inline constexpr size_t kMaxReaders = 4;

// A file being read, in one thread's hands at a time.
struct OpenFile {
  base::UniqueFd fd;
  const VirtualFile* given = nullptr;  // instead of fd; the exchange's
  uint32_t id = 0;
  std::string path;
  uint64_t read = 0;
  uint64_t expected = 0;
  // What the next read would wait for a disk, or cannot tell: not for the loop.
  bool stalls = false;

  bool is_open() const { return fd.valid() || given != nullptr; }
  void close() {
    fd.reset();
    given = nullptr;
  }
};

class Exchange {
 public:
  Exchange(size_t max_stat_bytes, size_t max_data_bytes, std::function<void()> wake,
           base::LogSink log, std::shared_ptr<const VirtualTree> files = nullptr);

  bool stopped() const;

  // Walker. The root comes first, before anything is pushed.
  void set_root(RootDir root) { root_ = std::move(root); }
  const RootDir& root() const { return *root_; }
  // The caller's, over the root or without one; null: none.
  const VirtualTree* files() const { return files_.get(); }
  void set_filter(std::shared_ptr<const EntryFilter> filter);
  // Waits until there is room; false: stopped.
  bool push_stats(Block block);
  // True while the loop waits for something to send.
  bool hungry() const { return hungry_.load(std::memory_order_relaxed); }

  // Readers: work() runs on a pool thread until there is nothing to read or no memory to read into.
  void work(std::shared_ptr<OpenFile> file);

  // Loop.
  base::Status request(uint32_t id);
  // Readers to start now: each is to be given to work() on the pool.
  std::vector<std::shared_ptr<OpenFile>> readers_to_start();
  void finish();  // the receiver said FIN
  // Next block to send; false: nothing now, wake will be called.
  bool take(Block* block);
  // `block` was sent and is not lent any more. Any thread.
  void recycle(Block block);
  // Ends all work, without waiting for walker and readers, which may sit in a system call of a disk
  // that stalls: they see it when they come back, and the exchange lives as long as they do. `wake`
  // is not called afterwards.
  void stop();
  uint64_t requested() const;

 private:
  enum class Step {
    kGoOn,
    kFull,     // the block takes no more
    kNothing,  // no file is asked for, or it would have to be waited for
    kFailed,   // the exchange is over, the block says why
  };
  bool no_more_reading() const;  // under the mutex
  Block new_data_block();        // under the mutex
  // Reads into `block` until one of the other steps.
  Step fill_block(Block* block, OpenFile* file);
  Step open_next(Block* block, OpenFile* file);
  Step read_some(Block* block, OpenFile* file, bool may_wait);
  // Into the `count` parts, one after the other. kGoOn: `got` bytes, which ends the file if
  // `ended`.
  static Step read_fd(Block* block, OpenFile* file, const iovec* parts, size_t count, bool may_wait,
                      size_t* got);
  static Step read_given(Block* block, OpenFile* file, const iovec* parts, size_t count,
                         bool may_wait, size_t* got);
  void read_here(std::unique_lock<std::mutex>& lock);
  void add_data(Block block, Step step);  // under the mutex
  void wake_loop(std::unique_lock<std::mutex>& lock);

  std::optional<RootDir> root_;  // the walker's, before its first block
  const size_t max_stat_bytes_;
  const size_t max_data_blocks_;
  const base::LogSink log_;
  const std::shared_ptr<const VirtualTree> files_;
  // Held while waking, so that stop() can tell when no call is under way; never for long.
  std::mutex waking_;
  std::function<void()> wake_;  // guarded by waking_

  mutable std::mutex mutex_;
  std::condition_variable changed_;  // room for STATs, stopped
  std::atomic<bool> hungry_{false};  // changed under the mutex
  std::atomic<bool> stopped_{false};
  bool finishing_ = false;
  bool last_taken_ = false;
  bool stats_turn_ = true;

  std::shared_ptr<const EntryFilter> filter_;
  std::deque<Block> stats_;
  size_t stat_bytes_ = 0;  // in stats_, and taken but not yet sent
  std::deque<Block> data_;
  size_t data_blocks_ = 0;  // in data_, with readers, and taken but not yet sent
  std::vector<Block> spare_;
  IdTable ids_;

  std::deque<uint32_t> requests_;
  uint64_t requested_ = 0;
  // Open, and in nobody's hands: wait for the loop or, where they stall, for a reader with memory.
  std::deque<std::shared_ptr<OpenFile>> parked_;
  size_t active_ = 0;  // readers
};

}  // namespace depot::filesync

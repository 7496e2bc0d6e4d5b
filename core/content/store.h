// Store: one OCI layout on disk, blobs/<algorithm>/<hex>, which several processes may write to.
//
// Invariants
//  - Everything is opened below one directory handle, under names made of digests and numbers. A
//    directory that is moved meanwhile stays the one that was meant.
//  - A blob appears whole, with its digest verified and its bytes on the disk, or not at all: it is
//    written to a file of its own in ingest/ and renamed. Two that write the same blob each have a
//    file, and either may come second.
//  - What a crashed process left in ingest/ is known by nobody holding its lock, and removed by the
//    next one that writes.
//
// Any thread; every function may block on the disk.
#pragma once

#include <sys/types.h>

#include <cstdint>
#include <ctime>
#include <map>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/fd.h"
#include "base/status.h"
#include "content/digest.h"
#include "content/lock.h"

namespace depot::content {

struct BlobInfo {
  int64_t size = 0;
  timespec modified{};
  timespec accessed{};
};

struct Blob {
  base::UniqueFd fd;
  int64_t size = 0;
};

// A blob that is being written. `ref` is the daemon's name for it.
struct IngestStatus {
  std::string ref;
  timespec started{};
  timespec updated{};
  int64_t offset = 0;
  int64_t total = 0;
  std::string expected;
};

class Writer;

class Store : public std::enable_shared_from_this<Store> {
 public:
  enum class Use { kRead, kWrite };
  // kRead: the directory must be there. kWrite: made if need be, and it must be possible to write.
  static base::Result<std::shared_ptr<Store>> open(const std::string& dir, Use use);
  ~Store();

  // As it was given; for messages.
  const std::string& dir() const { return dir_; }
  int handle() const { return root_.get(); }

  // kNotFound with a message that names the blob and the directory.
  base::Result<BlobInfo> info(const Digest& digest) const;
  base::Result<Blob> blob(const Digest& digest) const;
  // A whole small blob (a manifest, a config), verified: kDataLoss when it is not what its name
  // says, kResourceExhausted above `limit`.
  base::Result<std::string> read(const Digest& digest, size_t limit) const;

  // Begins a blob. One writer per ref at a time: kUnavailable for a second, who may come again.
  base::Result<std::shared_ptr<Writer>> write(const std::string& ref, int64_t total,
                                              const std::string& algorithm);
  std::vector<IngestStatus> statuses() const;
  // Breaks a writer off: its next call fails. kNotFound when there is none.
  base::Status abort(const std::string& ref);
  // Whether `digest` is here, of `size` bytes unless that is 0. A blob that was cut off is not.
  bool has(const Digest& digest, int64_t size) const;

  // Holds cache.lock shared from the first write until release(), so that nobody who cleans the
  // cache up removes what this build has found or written and the index does not name yet.
  void guard_cache() { guards_cache_ = true; }
  void release();

  // Files of blobs/ that have a blob's name.
  base::Result<std::vector<Digest>> list() const;
  base::Status remove(const Digest& digest);

 private:
  friend class Writer;
  Store(std::string dir, base::UniqueFd root);
  void forget(const std::string& ref);
  base::Status prepare_ingest();
  base::Status not_found(const Digest& digest) const;

  const std::string dir_;
  const base::UniqueFd root_;
  mutable std::mutex mutex_;
  std::map<std::string, std::weak_ptr<Writer>> writers_;
  base::UniqueFd ingest_;
  FileLock cache_lock_;
  bool guards_cache_ = false;
  bool released_ = false;
};

class Writer {
 public:
  ~Writer();  // without commit(): nothing is left

  const std::string& ref() const { return ref_; }
  IngestStatus status() const;
  Digest digest() const;  // of what was written so far

  // One caller at a time for these three.
  base::Status write(std::span<const uint8_t> bytes);
  base::Status restart();  // from offset 0
  // Verifies `total` (0: any) and `expected` ("": any), and puts the blob in its place. After that
  // there is nothing to write any more.
  base::Result<Digest> commit(int64_t total, const std::string& expected);

 private:
  friend class Store;
  Writer(std::shared_ptr<Store> store, std::string ref, std::string name, base::UniqueFd fd,
         int64_t total, const std::string& algorithm);
  void break_off();  // any thread
  base::Status usable() const;
  base::Status place(const Digest& digest);

  const std::shared_ptr<Store> store_;
  const std::string ref_;
  const std::string name_;  // in ingest/
  base::UniqueFd fd_;
  Hasher hasher_;
  bool committed_ = false;
  mutable std::mutex mutex_;  // of what status() tells and break_off() sets
  IngestStatus status_;
  bool broken_ = false;
};

}  // namespace depot::content

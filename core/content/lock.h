// Advisory locks on files of a layout, the ones that BuildKit's own clients take.
#pragma once

#include <chrono>
#include <string>

#include "base/cancel.h"
#include "base/fd.h"
#include "base/status.h"

namespace depot::content {

// Whether `name` in `dir` is the file that is open as `fd`.
bool same_file(int fd, int dir, const char* name);

class FileLock {
 public:
  FileLock() = default;
  FileLock(FileLock&&) = default;
  FileLock& operator=(FileLock&&) = default;
  bool held() const { return fd_.valid(); }
  void release() { fd_.reset(); }

  // Does not wait: kUnavailable when somebody has it. The file, `name` in `dir`, is made if need be
  // and stays.
  static base::Result<FileLock> try_lock(int dir, const char* name, bool shared);

 private:
  base::UniqueFd fd_;
};

// index.json.lock, whose file goes with the lock: Go's clients remove it, and expect it to be gone
// where nothing is written. Waits for up to `wait`, unless cancelled.
class IndexLock {
 public:
  static base::Result<IndexLock> take(int dir, const std::string& shown_dir,
                                      std::chrono::milliseconds wait, const base::Cancel& cancel);
  IndexLock(IndexLock&&) = default;
  IndexLock& operator=(IndexLock&&) = delete;
  ~IndexLock();

 private:
  IndexLock(int dir, base::UniqueFd fd) : dir_(dir), fd_(std::move(fd)) {}
  int dir_;
  base::UniqueFd fd_;
};

}  // namespace depot::content

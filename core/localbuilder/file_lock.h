// FileLock: a lock between processes that a crash cannot leave behind (flock).
#pragma once

#include <chrono>
#include <optional>
#include <string>

#include "base/cancel.h"
#include "base/fd.h"
#include "base/status.h"

namespace depot::localbuilder {

class FileLock {
 public:
  // Waits until the lock is ours, `cancel` or the deadline. The file is made, never removed:
  // removing it would let two processes lock two different files of one name.
  static base::Result<FileLock> acquire(const std::string& path, const base::Cancel& cancel,
                                        std::chrono::steady_clock::time_point deadline);
  // nullopt when another process has it.
  static base::Result<std::optional<FileLock>> try_acquire(const std::string& path);

  FileLock(FileLock&&) noexcept = default;
  FileLock& operator=(FileLock&&) = delete;
  ~FileLock();

 private:
  explicit FileLock(base::UniqueFd fd) : fd_(std::move(fd)) {}
  base::UniqueFd fd_;
};

}  // namespace depot::localbuilder

// Where a display writes: a descriptor, or a function of the caller's.
#pragma once

#include <atomic>
#include <functional>
#include <string_view>

#include "base/fd.h"
#include "base/status.h"

namespace depot::progress {

class Output {
 public:
  // Not 0: whoever reads wants no more.
  using Function = std::function<int32_t(std::string_view)>;

  // Borrows the descriptor.
  static base::Result<std::unique_ptr<Output>> to_descriptor(int fd);
  static std::unique_ptr<Output> to_function(Function function);

  // All of it, however long that takes; SIGPIPE is not raised. One thread at a time.
  base::Status write(std::string_view text);
  // Any thread: a write() under way, and all that follow, give up.
  void stop();

  bool terminal() const;
  // Columns and rows of the terminal; 0: it does not say.
  std::pair<size_t, size_t> size() const;

 private:
  Output() = default;
  base::Status write_descriptor(std::string_view text);

  int fd_ = -1;
  Function function_;
  base::UniqueFd stop_;  // an eventfd
  std::atomic<bool> stopped_{false};
};

}  // namespace depot::progress

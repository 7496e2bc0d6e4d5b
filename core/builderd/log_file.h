// LogFile: lines appended to a file that never grows beyond a bound; the one before is kept as
// "<path>.1". And the last bytes written, for error messages.
#pragma once

#include <mutex>
#include <string>
#include <string_view>

#include "base/fd.h"
#include "base/log.h"

namespace depot::builderd {

class LogFile {
 public:
  explicit LogFile(std::string path, size_t max_bytes = 8 << 20);

  // Raw bytes, as a child process printed them. Losing log lines (disk full) is no error.
  void append(std::string_view bytes);
  // One line with time and level. Any thread.
  void line(base::LogLevel level, std::string_view text);
  // The last 4 KiB or so, beginning at a line.
  std::string tail() const;
  const std::string& path() const { return path_; }

 private:
  void append_locked(std::string_view bytes);
  void open_file();

  mutable std::mutex mutex_;  // guards what follows
  const std::string path_;
  const size_t max_bytes_;
  base::UniqueFd fd_;
  size_t size_ = 0;
  std::string tail_;
};

}  // namespace depot::builderd

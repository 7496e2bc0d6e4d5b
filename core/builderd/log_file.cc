#include "builderd/log_file.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <ctime>

namespace depot::builderd {

namespace {
constexpr size_t kTail = 4 << 10;
}

LogFile::LogFile(std::string path, size_t max_bytes)
    : path_(std::move(path)), max_bytes_(max_bytes) {
  open_file();
}

void LogFile::open_file() {
  fd_.reset(::open(path_.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0600));
  struct stat st;
  size_ = fd_.valid() && ::fstat(fd_.get(), &st) == 0 ? static_cast<size_t>(st.st_size) : 0;
}

void LogFile::append_locked(std::string_view bytes) {
  if (size_ > 0 && size_ + bytes.size() > max_bytes_) {
    ::rename(path_.c_str(), (path_ + ".1").c_str());
    open_file();
  }
  if (fd_.valid()) {
    ssize_t n = ::write(fd_.get(), bytes.data(), bytes.size());
    if (n > 0) size_ += static_cast<size_t>(n);
  }
  tail_.append(bytes.size() > kTail ? bytes.substr(bytes.size() - kTail) : bytes);
  if (tail_.size() > 2 * kTail) tail_.erase(0, tail_.size() - kTail);
}

void LogFile::append(std::string_view bytes) {
  std::lock_guard lock(mutex_);
  append_locked(bytes);
}

void LogFile::line(base::LogLevel level, std::string_view text) {
  static constexpr const char* kLevels[] = {"?", "debug", "info", "warning", "error"};
  auto index = static_cast<size_t>(level);
  std::time_t now = std::time(nullptr);
  std::tm parts{};
  ::gmtime_r(&now, &parts);
  char when[32];
  std::strftime(when, sizeof when, "%Y-%m-%dT%H:%M:%SZ", &parts);
  std::string out = std::string(when) + " " + kLevels[index < 5 ? index : 0] + " ";
  for (char c : text) out += static_cast<unsigned char>(c) < 0x20 ? ' ' : c;
  out += '\n';
  std::lock_guard lock(mutex_);
  append_locked(out);
}

std::string LogFile::tail() const {
  std::lock_guard lock(mutex_);
  if (tail_.size() <= kTail) return tail_;
  std::string out = tail_.substr(tail_.size() - kTail);
  size_t line = out.find('\n');
  return line == std::string::npos ? out : out.substr(line + 1);
}

}  // namespace depot::builderd

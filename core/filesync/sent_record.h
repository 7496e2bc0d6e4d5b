// What a sender listed, file by file, and what of it was asked for: kept only where somebody wants
// to know, since it takes memory for every path.
#pragma once

#include <cstdint>
#include <mutex>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace depot::filesync {

struct SentFile {
  std::string path;
  uint64_t size = 0;
  bool transferred = false;  // the receiver asked for its content
};

// Any thread.
class SentRecord {
 public:
  static constexpr size_t kMax = 1 << 20;

  // The next id. `is_file` false: it counts, and has no content.
  void add(std::string_view path, int64_t size, bool is_file) {
    std::lock_guard lock(mutex_);
    if (files_.size() >= kMax) return;
    files_.emplace_back();
    if (is_file) files_.back() = {std::string(path), static_cast<uint64_t>(size), false};
  }
  void ask(uint32_t id) {
    std::lock_guard lock(mutex_);
    if (id < files_.size()) files_[id].transferred = true;
  }
  // The files, in order; the first kMax entries are looked at.
  std::vector<SentFile> take() {
    std::lock_guard lock(mutex_);
    std::erase_if(files_, [](const SentFile& file) { return file.path.empty(); });
    return std::exchange(files_, {});
  }

 private:
  std::mutex mutex_;
  std::vector<SentFile> files_;
};

}  // namespace depot::filesync

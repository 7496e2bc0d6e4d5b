// From ids to paths: what a sender keeps of every STAT it sent, so that content can be asked for.
//
// An id that may be asked for costs 4 bytes, its name and a few more; the directory's path is kept
// once per chunk and directory. Other ids cost 4 bytes.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace depot::filesync {

// The ids of one block of STATs, in order.
class IdChunk {
 public:
  // `requestable` false: the id counts, but has no content.
  void add(std::string_view path, bool requestable);
  size_t size() const { return slots_.size(); }

 private:
  friend class IdTable;
  std::vector<uint32_t> slots_;  // 0: none (any more); else where in text_ the record is, plus one
  std::string text_;             // records: u32 place of the directory, u16 length, name
  uint32_t dir_ = 0;             // the last directory, as a place in text_: u16 length, path
  bool has_dir_ = false;
};

class IdTable {
 public:
  void append(IdChunk chunk);
  // True if `id` may be asked for; from now on it may not be again.
  bool claim(uint32_t id);
  // Path of a claimed id.
  std::string path(uint32_t id) const;
  uint64_t size() const { return size_; }
  size_t memory() const;

 private:
  struct Part {
    uint64_t first;
    IdChunk chunk;
  };
  size_t find(uint32_t id) const;
  std::vector<Part> parts_;
  uint64_t size_ = 0;
};

}  // namespace depot::filesync

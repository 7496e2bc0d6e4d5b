// Follows an uncompressed tar as it goes by: whether it is whole, and its entries have the sizes
// that they say. A builder that finds out tells it in the words of its unpacker, of a file that
// nobody named.
#pragma once

#include <cstddef>
#include <cstdint>
#include <span>
#include <string>

#include "base/status.h"

namespace depot::solve {

constexpr size_t kTarBlock = 512;

// A header by its checksum; the block of zeros is none.
bool is_tar_header(std::span<const uint8_t> block);
// A header of something that is no entry: extended attributes or the long name of the next.
bool is_tar_prelude(std::span<const uint8_t> block);

class TarCheck {
 public:
  base::Status feed(std::span<const uint8_t> bytes);
  // There are no more.
  base::Status finish() const;

 private:
  base::Status header();
  void body(std::span<const uint8_t> bytes);
  void read_pax();
  base::Status bad(const std::string& why) const;

  uint8_t block_[kTarBlock];
  size_t filled_ = 0;     // of block_
  uint64_t left_ = 0;     // of the entry's content, with what fills its last block
  uint64_t content_ = 0;  // of left_, the entry's own
  uint64_t size_ = 0;     // of the entry
  uint64_t offset_ = 0;   // of the next byte
  char type_ = 0;
  bool more_headers_ = false;  // of a sparse file: blocks before its content
  bool zeros_ = false;         // one of the two blocks that end a tar was there
  bool done_ = false;
  std::string name_ = "its beginning";  // of the entry
  std::string extended_;                // content of a header that speaks of the next entry
  std::string next_name_;
  int64_t next_size_ = -1;
};

}  // namespace depot::solve

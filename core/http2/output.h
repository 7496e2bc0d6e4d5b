// Where produce() writes: pieces of memory, one after the other. Frame headers and small bodies are
// written here; a body that has its bytes in memory already lends them.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "base/shared_bytes.h"

namespace depot::http2 {

class Output {
 public:
  // At most `budget` bytes, in memory of its own and in what is lent.
  explicit Output(size_t budget) : budget_(budget) {}
  // Everything goes into `memory`, for those who want it in one piece; nothing is lent.
  explicit Output(std::span<uint8_t> memory) : budget_(memory.size()), memory_(memory.data()) {}

  size_t size() const { return size_; }
  size_t room() const { return budget_ - size_; }
  bool takes_loans() const { return memory_ == nullptr; }

  // Room for `bytes` in one piece, of which commit() keeps the first. A second reserve() without a
  // commit() between, for no more, is the same memory.
  uint8_t* reserve(size_t bytes);
  void commit(size_t bytes);
  void lend(base::SharedBytes loan);

  // Only of an output with a budget.
  const std::vector<base::SharedBytes>& pieces() const { return pieces_; }

 private:
  const size_t budget_;
  uint8_t* const memory_ = nullptr;
  size_t size_ = 0;
  std::vector<base::SharedBytes> pieces_;
  std::shared_ptr<uint8_t[]> chunk_;
  size_t chunk_size_ = 0;
  size_t chunk_used_ = 0;
};

}  // namespace depot::http2

#include "http2/output.h"

#include <algorithm>
#include <cassert>
#include <utility>

namespace depot::http2 {

// Two full frames and what goes with them.
constexpr size_t kChunk = 33 << 10;
// Of frames without a body, and of headers before one that is lent: a reader of much sends little
// else, and what it sends waits until its turn is over.
constexpr size_t kSmall = 1 << 10;

uint8_t* Output::reserve(size_t bytes) {
  assert(bytes <= room());
  if (memory_ != nullptr) return memory_ + size_;
  if (chunk_size_ - chunk_used_ < bytes) {
    chunk_size_ = bytes <= kSmall ? kSmall : std::max(bytes, kChunk);
    chunk_used_ = 0;
    chunk_ = std::shared_ptr<uint8_t[]>(new uint8_t[chunk_size_]);  // not zeroed
  }
  return chunk_.get() + chunk_used_;
}

void Output::commit(size_t bytes) {
  assert(bytes <= room());
  size_ += bytes;
  if (memory_ != nullptr || bytes == 0) return;
  const uint8_t* begin = chunk_.get() + chunk_used_;
  chunk_used_ += bytes;
  if (!pieces_.empty() && pieces_.back().owner == chunk_) {
    auto& last = pieces_.back().bytes;  // which ends where this begins
    last = {last.data(), last.size() + bytes};
    return;
  }
  pieces_.push_back({{begin, bytes}, chunk_});
}

void Output::lend(base::SharedBytes loan) {
  assert(takes_loans() && loan.bytes.size() <= room());
  size_ += loan.bytes.size();
  pieces_.push_back(std::move(loan));
}

}  // namespace depot::http2

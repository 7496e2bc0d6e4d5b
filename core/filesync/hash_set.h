// A set of hashes of 64 bits: what is asked of a million paths whether they were there. 8 bytes for
// each until somebody asks, which most lists never make anybody do, and 9 to 19 from then on: a
// place in the table is not in the processor's cache, and cost more than all else about a path.
// Private to the module.
#pragma once

#include <cstddef>
#include <cstdint>
#include <utility>
#include <vector>

#include "base/id.h"

namespace depot::filesync {

class HashSet {
 public:
  void insert(uint64_t hash) {
    if (hash == 0) hash = 1;  // which is an empty place
    if (asked_)
      place(hash);
    else
      unplaced_.push_back(hash);
  }
  bool contains(uint64_t hash) {
    if (hash == 0) hash = 1;
    if (!asked_) {
      asked_ = true;
      for (uint64_t one : std::exchange(unplaced_, {})) place(one);
    }
    return !places_.empty() && places_[find(hash)] == hash;
  }

 private:
  void place(uint64_t hash) {
    if ((size_ + 1) * 8 > places_.size() * 7) grow();
    uint64_t& place = places_[find(hash)];
    if (place == 0) ++size_;
    place = hash;
  }
  // Where it is, or would be. There always is an empty place.
  size_t find(uint64_t hash) const {
    // Not the hash itself, of which a sender knows how to make many that meet.
    size_t at = static_cast<size_t>((hash * odd_) >> shift_);
    while (places_[at] != 0 && places_[at] != hash) at = (at + 1) & (places_.size() - 1);
    return at;
  }
  void grow() {
    if (places_.empty()) odd_ = uint64_t{base::random_seed()} << 32 | base::random_seed() | 1;
    auto old = std::move(places_);
    --shift_;
    places_.assign(old.empty() ? size_t{1} << kFirst : old.size() * 2, 0);
    for (uint64_t hash : old)
      if (hash != 0) places_[find(hash)] = hash;
  }

  static constexpr int kFirst = 6;
  std::vector<uint64_t> unplaced_;
  bool asked_ = false;
  std::vector<uint64_t> places_;
  size_t size_ = 0;
  uint64_t odd_ = 1;
  int shift_ = 64 - kFirst + 1;  // the highest bits are the place
};

}  // namespace depot::filesync

#include "filesync/exchange.h"

#include <algorithm>
#include <cstring>
#include <utility>

namespace depot::filesync {

using base::Code;
using base::Hop;
using base::Status;

Block Block::with_capacity(Kind kind, size_t capacity) {
  Block block;
  block.bytes.reset(new uint8_t[capacity]);  // not zeroed
  block.capacity = capacity;
  block.kind = kind;
  return block;
}

Block Block::of_error(const Status& outcome) {
  std::string text = err_message(outcome.message());
  Block block = with_capacity(kWords, text.size());
  std::memcpy(block.bytes.get(), text.data(), text.size());
  block.size = text.size();
  block.last = true;
  block.outcome = outcome;
  return block;
}

Exchange::Exchange(size_t max_stat_bytes, size_t max_data_bytes, std::function<void()> wake,
                   base::LogSink log, std::shared_ptr<const VirtualTree> files)
    : max_stat_bytes_(max_stat_bytes),
      max_data_blocks_(std::max<size_t>(max_data_bytes / kDataBlock, 1)),
      log_(std::move(log)),
      files_(std::move(files)),
      wake_(std::move(wake)) {}

bool Exchange::stopped() const {
  return stopped_.load(std::memory_order_relaxed);
}

// Unlocks.
void Exchange::wake_loop(std::unique_lock<std::mutex>& lock) {
  bool wanted = hungry_.exchange(false) && !stopped_;
  lock.unlock();
  if (!wanted) return;
  std::lock_guard waking(waking_);
  if (wake_) wake_();
}

bool Exchange::no_more_reading() const {
  return stopped_ || finishing_ || last_taken_;
}

void Exchange::set_filter(std::shared_ptr<const EntryFilter> filter) {
  std::lock_guard lock(mutex_);
  filter_ = std::move(filter);
}

bool Exchange::push_stats(Block block) {
  std::unique_lock lock(mutex_);
  changed_.wait(lock,
                [&] { return stopped_ || stat_bytes_ == 0 || stat_bytes_ < max_stat_bytes_; });
  if (stopped_) return false;
  if (block.kind == Block::kStats) stat_bytes_ += block.capacity;
  stats_.push_back(std::move(block));
  wake_loop(lock);
  return true;
}

Status Exchange::request(uint32_t id) {
  std::lock_guard lock(mutex_);
  if (!ids_.claim(id))
    return Status(Code::kInvalidArgument, Hop::kSession, "invalid file id " + std::to_string(id));
  requests_.push_back(id);
  ++requested_;
  return Status();
}

std::vector<std::shared_ptr<OpenFile>> Exchange::readers_to_start() {
  std::vector<std::shared_ptr<OpenFile>> started;
  std::lock_guard lock(mutex_);
  if (no_more_reading()) return started;
  size_t room = max_data_blocks_ - std::min(data_blocks_, max_data_blocks_);
  // Waking a thread costs as much as reading a block: one reader goes on where half of the memory
  // is free again, all of them where the loop has nothing left to send.
  bool starving = data_.empty();
  auto may_start = [&] {
    return room > 0 && (starving || (active_ == 0 && 2 * room >= max_data_blocks_));
  };
  auto start = [&](std::shared_ptr<OpenFile> file) {
    started.push_back(std::move(file));
    ++active_;
    --room;
  };
  for (auto file = parked_.begin(); file != parked_.end() && may_start();) {
    if ((*file)->stalls) {
      start(std::move(*file));
      file = parked_.erase(file);
    } else {
      ++file;
    }
  }
  // One reader keeps up with a stream of small files; more are for a queue that grows.
  while (may_start() && active_ + parked_.size() < kMaxReaders && requests_.size() > active_ * 16)
    start(std::make_shared<OpenFile>());
  return started;
}

void Exchange::finish() {
  std::unique_lock lock(mutex_);
  finishing_ = true;
  requests_.clear();
  parked_.clear();
  changed_.notify_all();
  wake_loop(lock);
}

bool Exchange::take(Block* block) {
  std::unique_lock lock(mutex_);
  if (last_taken_) return false;
  if (!finishing_ && data_.empty() && (stats_.empty() || !stats_turn_)) read_here(lock);
  if (finishing_) {
    *block = Block::with_capacity(Block::kWords, kMaxShortMessage);
    block->size = static_cast<size_t>(write_short_message(block->bytes.get(), PacketType::kFin, 0) -
                                      block->bytes.get());
    block->last = true;
  } else if (stats_.empty() && data_.empty()) {
    hungry_ = true;
    return false;
  } else {
    bool stats = data_.empty() || (stats_turn_ && !stats_.empty());
    auto& queue = stats ? stats_ : data_;
    stats_turn_ = !stats;
    *block = std::move(queue.front());
    queue.pop_front();
    // Before the first of its bytes leaves: the receiver may ask right after.
    if (stats) ids_.append(std::move(block->ids));
  }
  last_taken_ = block->last;
  return true;
}

void Exchange::recycle(Block block) {
  std::unique_lock lock(mutex_);
  if (block.kind == Block::kData) {
    --data_blocks_;
    spare_.push_back(std::move(block));  // of max_data_blocks_ in all
    // Lent until now, while the loop went idle: nobody else would go on.
    bool waiting = !parked_.empty() || (!requests_.empty() && active_ == 0);
    if (hungry_ && waiting) wake_loop(lock);
  } else if (block.kind == Block::kStats) {
    stat_bytes_ -= block.capacity;
    changed_.notify_all();
  }
}

void Exchange::stop() {
  {
    std::lock_guard lock(mutex_);
    stopped_ = true;
    hungry_ = false;
    requests_.clear();
    parked_.clear();
    changed_.notify_all();
  }
  std::function<void()> wake;
  std::lock_guard waking(waking_);
  wake.swap(wake_);
}

uint64_t Exchange::requested() const {
  std::lock_guard lock(mutex_);
  return requested_;
}

}  // namespace depot::filesync

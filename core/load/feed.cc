#include "load/feed.h"

#include <sys/eventfd.h>

namespace depot::load {
namespace {

// Bytes that may wait for the store before the builder is held back.
constexpr size_t kHigh = 4 << 20;
constexpr size_t kLow = 1 << 20;

}  // namespace

Feed::Feed() : event_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {}

void Feed::wake() const {
  (void)::eventfd_write(event_.get(), 1);  // a failure is EAGAIN: already signalled
}

void Feed::on_room(std::function<void()> room) {
  std::lock_guard lock(mutex_);
  room_ = std::move(room);
}

bool Feed::write(std::span<const uint8_t> data) {
  std::lock_guard lock(mutex_);
  if (stopped() || data.empty()) return true;
  chunks_.emplace_back(reinterpret_cast<const char*>(data.data()), data.size());
  queued_ += data.size();
  wake();
  if (queued_ < kHigh) return true;
  held_ = true;
  return false;
}

void Feed::close() {
  std::lock_guard lock(mutex_);
  closed_ = true;
  wake();
}

void Feed::stop() {
  std::lock_guard lock(mutex_);
  chunks_.clear();
  stopping_.trigger();
  wake();
}

void Feed::clear_event() const {
  eventfd_t count = 0;
  (void)::eventfd_read(event_.get(), &count);
}

bool Feed::take(std::string& chunk) {
  std::function<void()> room;
  {
    std::lock_guard lock(mutex_);
    if (chunks_.empty()) return false;
    chunk = std::move(chunks_.front());
    chunks_.pop_front();
    queued_ -= chunk.size();
    if (held_ && queued_ <= kLow) {
      held_ = false;
      room = room_;
    }
  }
  if (room) room();
  return true;
}

bool Feed::closed() const {
  std::lock_guard lock(mutex_);
  return closed_ && chunks_.empty();
}

}  // namespace depot::load

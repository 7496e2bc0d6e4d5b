// Bytes of an export between the session's thread, which has them, and the thread that passes them
// on. Private to the module.
#pragma once

#include <cstddef>
#include <deque>
#include <functional>
#include <mutex>
#include <span>
#include <string>

#include "base/cancel.h"
#include "base/fd.h"
#include "base/status.h"

namespace depot::load {

class Feed {
 public:
  Feed();

  // Session's side; none of these waits.
  void on_room(std::function<void()> room);
  bool write(std::span<const uint8_t> data);  // false: full, on_room() will be called
  void close();                               // all of it came

  // Any thread: what is under way ends.
  void stop();

  // The other side. Readable when there may be something new; -1: could not be made.
  int event() const { return event_.get(); }
  void clear_event() const;
  bool take(std::string& chunk);
  bool closed() const;  // and there is nothing left
  bool stopped() const { return stopping_.triggered(); }
  const base::Cancel& stopping() const { return stopping_; }

 private:
  void wake() const;

  base::UniqueFd event_;
  mutable std::mutex mutex_;
  std::deque<std::string> chunks_;
  size_t queued_ = 0;
  bool closed_ = false, held_ = false;
  base::Cancel stopping_;
  std::function<void()> room_;
};

}  // namespace depot::load

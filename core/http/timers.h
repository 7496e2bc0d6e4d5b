// The timers of a loop, by time and by id. Private to the http module; one thread.
#pragma once

#include <chrono>
#include <map>
#include <optional>
#include <utility>

#include "base/loop.h"

namespace depot::http {

class Timers {
 public:
  base::Loop::TimerId add(std::chrono::milliseconds delay, base::Loop::Task task);
  void cancel(base::Loop::TimerId id);
  // Runs what is due, but not what is added meanwhile: a timer that sets itself anew must not keep
  // the sockets waiting.
  void run_due();
  // Until the next one, rounded up; nullopt without any.
  std::optional<std::chrono::milliseconds> next() const;
  void clear();

 private:
  using Clock = std::chrono::steady_clock;

  std::map<std::pair<Clock::time_point, base::Loop::TimerId>, base::Loop::Task> tasks_;
  std::map<base::Loop::TimerId, Clock::time_point> times_;
  base::Loop::TimerId next_id_ = 1;
};

}  // namespace depot::http

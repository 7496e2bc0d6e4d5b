// A loop by hands that the test turns: no thread, no time passes.
#pragma once

#include <deque>
#include <map>
#include <mutex>
#include <optional>

#include "base/clock.h"
#include "base/loop.h"

namespace depot::machine {

class FakeClock final : public base::Clock {
 public:
  std::chrono::steady_clock::time_point now() const override {
    return std::chrono::steady_clock::time_point(at);
  }
  std::chrono::system_clock::time_point wall() const override {
    return std::chrono::system_clock::time_point(std::chrono::seconds(1000000)) + at;
  }
  std::chrono::milliseconds at{0};
};

class FakeLoop final : public base::Loop {
 public:
  explicit FakeLoop(FakeClock& clock) : clock_(clock) {}

  // Any thread, as with every loop.
  void post(Task task) override {
    std::lock_guard lock(mutex_);
    posted_.push_back(std::move(task));
  }
  TimerId run_after(std::chrono::milliseconds delay, Task task) override {
    timers_.emplace(std::pair(clock_.at + delay, ++last_), std::move(task));
    return last_;
  }
  void cancel_timer(TimerId id) override {
    std::erase_if(timers_, [id](const auto& timer) { return timer.first.second == id; });
  }
  bool on_loop_thread() const override { return true; }

  // Turns the clock forward, running what falls due at its time.
  void advance(std::chrono::milliseconds by) {
    auto end = clock_.at + by;
    for (run_posted(); !timers_.empty() && timers_.begin()->first.first <= end; run_posted()) {
      auto timer = timers_.extract(timers_.begin());
      clock_.at = timer.key().first;
      timer.mapped()();
    }
    clock_.at = end;
  }
  size_t timers() const { return timers_.size(); }

 private:
  void run_posted() {
    while (auto task = next()) (*task)();
  }
  std::optional<Task> next() {
    std::lock_guard lock(mutex_);
    if (posted_.empty()) return std::nullopt;
    Task task = std::move(posted_.front());
    posted_.pop_front();
    return task;
  }

  FakeClock& clock_;
  std::mutex mutex_;
  std::deque<Task> posted_;  // guarded by mutex_
  std::map<std::pair<std::chrono::milliseconds, TimerId>, Task> timers_;
  TimerId last_ = 0;
};

}  // namespace depot::machine

// Loop: one thread that runs tasks in order, with timers. The interface only; who owns a thread
// implements it (a connection, the curl thread, the local builder). Code that must not block runs
// on a loop; other threads only ever post to it.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>

namespace depot::base {

class Loop {
 public:
  using Task = std::function<void()>;
  using TimerId = uint64_t;  // 0 is never a timer

  virtual ~Loop() = default;

  // Runs `task` on the loop's thread, after those posted before it. Any thread. Tasks still queued
  // when the loop stops are destroyed on its thread without being run.
  virtual void post(Task task) = 0;
  // Runs `task` once, after `delay`. Loop thread only.
  virtual TimerId run_after(std::chrono::milliseconds delay, Task task) = 0;
  // Loop thread only; an id that ran or is unknown is ignored.
  virtual void cancel_timer(TimerId id) = 0;
  virtual bool on_loop_thread() const = 0;
};

}  // namespace depot::base

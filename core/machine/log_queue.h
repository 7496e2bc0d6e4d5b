// The caller's log function, behind a queue: whoever logs never waits for it.
//
// Lines are logged on threads that must not stop, the heartbeat's among them, while the function
// may block, or want Python's lock. So it is called on a thread of its own, one line at a time, in
// order. When it cannot keep up, lines are dropped, and it is told how many.
//
// In a child made by fork() the thread is not there: lines are dropped, and nothing here is
// touched.
#pragma once

#include <chrono>
#include <cstddef>
#include <memory>

#include "base/log.h"

namespace depot::machine {

class LogQueue {
 public:
  static constexpr size_t kMostLines = 1000;
  static constexpr size_t kMostBytes = 1 << 20;
  // What is queued at close() still gets this long.
  static constexpr std::chrono::milliseconds kPatience{1000};

  // Starts nothing: the thread comes with the first line.
  explicit LogQueue(base::LogSink function);
  ~LogQueue();
  LogQueue(const LogQueue&) = delete;
  LogQueue& operator=(const LogQueue&) = delete;

  // Any thread; never blocks on the function. May outlive this. Empty if the function is.
  base::LogSink sink() const;
  // The function is not called any more once this returns, and is let go of; a call under way is
  // waited for. From inside the function it does not wait: the call it came from is the last.
  void close();

 private:
  struct State;
  std::shared_ptr<State> state_;  // null without a function
};

}  // namespace depot::machine

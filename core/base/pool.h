// Pool: a few threads for work that may block (file reads, credential helpers), so that no loop
// ever does. Threads start with the first task and end with the pool.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>

#include "base/status.h"

namespace depot::base {

class Pool {
 public:
  // At most `threads` threads, fewer where no more are to be had. Tasks run in the order they were
  // added, side by side.
  explicit Pool(size_t threads);
  // Drops what has not started and waits for what has. Never destroy a pool from its own task.
  ~Pool();
  Pool(const Pool&) = delete;
  Pool& operator=(const Pool&) = delete;

  // Starts the first thread now, for who could not do without: kResourceExhausted (a limit of the
  // process or its cgroup).
  Status start();
  // Any thread, also from a task. If not even one thread can be started the task goes unrun.
  void add(std::function<void()> task);

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace depot::base

// EpollLoop: tasks, timers and file descriptors on one thread, in the order they come.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <mutex>
#include <thread>
#include <vector>

#include "base/fd.h"
#include "base/loop.h"

namespace depot::base {

class EpollLoop : public Loop {
 public:
  using FdHandler = std::function<void(uint32_t events)>;

  EpollLoop();
  ~EpollLoop() override;

  // False where the system has no more descriptors to give; nothing else may be called then.
  bool valid() const { return epoll_.valid() && wake_.valid(); }
  // Runs on the calling thread, which becomes the loop's, until stop().
  void run();
  // Any thread. run() returns after the task under way; what is posted later is dropped.
  void stop();
  // Runs each time before the loop waits: for work that many events of one turn ask for. Before
  // run().
  void before_waiting(Task task) { before_waiting_ = std::move(task); }

  void post(Task task) override;
  TimerId run_after(std::chrono::milliseconds delay, Task task) override;
  void cancel_timer(TimerId id) override;
  bool on_loop_thread() const override;

  // Level-triggered; loop thread (or before run()). The handler may unwatch its own descriptor.
  void watch(int fd, uint32_t events, FdHandler handler);
  void change(int fd, uint32_t events);
  void unwatch(int fd);

 private:
  struct Watched {
    int fd;
    std::shared_ptr<FdHandler> handler;
  };
  void run_posted();
  void run_timers();
  int wait_time();

  UniqueFd epoll_, wake_;
  std::atomic<std::thread::id> thread_;
  std::atomic<bool> stopped_{false};
  Task before_waiting_;
  std::mutex mutex_;
  std::vector<Task> posted_;  // guarded by mutex_
  bool over_ = false;         // guarded by mutex_; nothing will run any more
  // Events carry a number, not the descriptor: one of a batch may be about a descriptor that an
  // earlier handler closed and whose number is in use again.
  std::map<uint64_t, Watched> watched_;
  std::map<int, uint64_t> numbers_;
  uint64_t next_number_ = 1;
  std::map<std::pair<std::chrono::steady_clock::time_point, TimerId>, Task> timers_;
  std::map<TimerId, std::chrono::steady_clock::time_point> timer_times_;
  TimerId next_timer_ = 1;
};

}  // namespace depot::base

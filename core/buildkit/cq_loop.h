// The thread of a connection: a gRPC completion queue with posts and timers, as a base::Loop.
// Private to the buildkit module.
#pragma once

#include <grpcpp/alarm.h>
#include <grpcpp/completion_queue.h>

#include <map>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

#include "base/loop.h"

namespace depot::buildkit {

// What a completion-queue tag points at.
class Tag {
 public:
  virtual void complete(bool ok) = 0;

 protected:
  ~Tag() = default;
};

class CqLoop final : public base::Loop, private Tag {
 public:
  CqLoop();
  // shut_down() must have been called, and the last tag been given back.
  ~CqLoop();

  grpc::CompletionQueue* queue() { return &queue_; }

  void post(Task task) override;
  TimerId run_after(std::chrono::milliseconds delay, Task task) override;
  void cancel_timer(TimerId id) override;
  bool on_loop_thread() const override { return std::this_thread::get_id() == thread_id_; }

  // Loop thread only, once no operation will be started any more: the thread ends when the queue is
  // empty. Later posts are dropped.
  void shut_down();
  // Not on the loop thread.
  void join();

 private:
  using Clock = std::chrono::steady_clock;

  void complete(bool ok) override;  // the wake-up alarm fired
  void run();
  void run_due_timers();

  grpc::CompletionQueue queue_;
  grpc::Alarm wake_;
  std::mutex mutex_;
  std::vector<Task> posted_;   // guarded by mutex_
  bool wake_pending_ = false;  // guarded by mutex_
  bool closed_ = false;        // guarded by mutex_
  std::map<std::pair<Clock::time_point, TimerId>, Task> timers_;
  std::map<TimerId, Clock::time_point> timer_times_;
  TimerId next_timer_ = 1;
  std::thread::id thread_id_;
  std::thread thread_;
};

}  // namespace depot::buildkit

#include "buildkit/cq_loop.h"

#include <grpc/support/time.h>

#include <algorithm>

#include "base/signals.h"

namespace depot::buildkit {

CqLoop::CqLoop() {
  std::lock_guard hold(mutex_);
  // The host program's signals are its own threads' business.
  base::SignalsBlocked blocked;
  thread_ = std::thread([this] {
    { std::lock_guard wait_for_id(mutex_); }
    run();
  });
  thread_id_ = thread_.get_id();
}

CqLoop::~CqLoop() {
  join();
}

void CqLoop::join() {
  if (thread_.joinable()) thread_.join();
}

void CqLoop::post(Task task) {
  std::lock_guard lock(mutex_);
  if (closed_) return;
  posted_.push_back(std::move(task));
  if (wake_pending_) return;  // one wake-up serves any number of posts
  wake_pending_ = true;
  wake_.Set(&queue_, gpr_time_0(GPR_CLOCK_MONOTONIC), static_cast<Tag*>(this));
}

void CqLoop::complete(bool) {
  std::vector<Task> tasks;
  {
    std::lock_guard lock(mutex_);
    wake_pending_ = false;
    tasks.swap(posted_);
  }
  for (auto& task : tasks) {
    task();
    task = nullptr;
  }
}

base::Loop::TimerId CqLoop::run_after(std::chrono::milliseconds delay, Task task) {
  TimerId id = next_timer_++;
  // Bounded first: the longest of durations does not fit into nanoseconds.
  constexpr std::chrono::milliseconds kLongest = std::chrono::hours(24 * 365);
  auto when = Clock::now() + std::min(delay, kLongest);
  timers_.emplace(std::pair(when, id), std::move(task));
  timer_times_.emplace(id, when);
  return id;
}

void CqLoop::cancel_timer(TimerId id) {
  auto it = timer_times_.find(id);
  if (it == timer_times_.end()) return;
  timers_.erase({it->second, id});
  timer_times_.erase(it);
}

void CqLoop::run_due_timers() {
  while (!timers_.empty() && timers_.begin()->first.first <= Clock::now()) {
    auto node = timers_.extract(timers_.begin());
    timer_times_.erase(node.key().second);
    node.mapped()();
  }
}

void CqLoop::shut_down() {
  std::vector<Task> dropped;
  {
    std::lock_guard lock(mutex_);
    closed_ = true;
    dropped.swap(posted_);
  }
  timers_.clear();
  timer_times_.clear();
  queue_.Shutdown();
}

void CqLoop::run() {
  for (;;) {
    gpr_timespec deadline = gpr_inf_future(GPR_CLOCK_MONOTONIC);
    if (!timers_.empty()) {
      auto left = std::chrono::duration_cast<std::chrono::nanoseconds>(
          timers_.begin()->first.first - Clock::now());
      deadline =
          gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                       gpr_time_from_nanos(left.count() > 0 ? left.count() : 0, GPR_TIMESPAN));
    }
    void* tag = nullptr;
    bool ok = false;
    switch (queue_.AsyncNext(&tag, &ok, deadline)) {
      case grpc::CompletionQueue::SHUTDOWN:
        return;
      case grpc::CompletionQueue::GOT_EVENT:
        static_cast<Tag*>(tag)->complete(ok);
        break;
      case grpc::CompletionQueue::TIMEOUT:
        break;
    }
    run_due_timers();
  }
}

}  // namespace depot::buildkit

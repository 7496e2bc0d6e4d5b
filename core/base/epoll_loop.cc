#include "base/epoll_loop.h"

#include <sys/epoll.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <cerrno>

namespace depot::base {

using std::chrono::steady_clock;

EpollLoop::EpollLoop()
    : epoll_(::epoll_create1(EPOLL_CLOEXEC)), wake_(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK)) {
  epoll_event event{};
  event.events = EPOLLIN | EPOLLET;  // told of each wake-up, so that none has to be read
  event.data.u64 = 0;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, wake_.get(), &event);
}

EpollLoop::~EpollLoop() = default;

void EpollLoop::post(Task task) {
  std::lock_guard lock(mutex_);
  if (over_) return;
  posted_.push_back(std::move(task));
  // One wake-up serves any number of posts, and the loop looks for its own before it waits. Locked:
  // the loop may be gone once it ran this one.
  if (posted_.size() == 1 && !on_loop_thread()) eventfd_write(wake_.get(), 1);
}

void EpollLoop::stop() {
  stopped_ = true;
  eventfd_write(wake_.get(), 1);
}

EpollLoop::TimerId EpollLoop::run_after(std::chrono::milliseconds delay, Task task) {
  TimerId id = next_timer_++;
  // Bounded first: the longest of durations does not fit into nanoseconds.
  constexpr std::chrono::milliseconds kLongest = std::chrono::hours(24 * 365);
  auto when = steady_clock::now() + std::min(delay, kLongest);
  timers_.emplace(std::pair(when, id), std::move(task));
  timer_times_.emplace(id, when);
  return id;
}

void EpollLoop::cancel_timer(TimerId id) {
  auto it = timer_times_.find(id);
  if (it == timer_times_.end()) return;
  timers_.erase({it->second, id});
  timer_times_.erase(it);
}

bool EpollLoop::on_loop_thread() const {
  return thread_.load() == std::this_thread::get_id();
}

void EpollLoop::watch(int fd, uint32_t events, FdHandler handler) {
  unwatch(fd);
  uint64_t number = next_number_++;
  watched_[number] = {fd, std::make_shared<FdHandler>(std::move(handler))};
  numbers_[fd] = number;
  epoll_event event{};
  event.events = events;
  event.data.u64 = number;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event);
}

void EpollLoop::change(int fd, uint32_t events) {
  auto it = numbers_.find(fd);
  if (it == numbers_.end()) return;
  epoll_event event{};
  event.events = events;
  event.data.u64 = it->second;
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, fd, &event);
}

void EpollLoop::unwatch(int fd) {
  auto it = numbers_.find(fd);
  if (it == numbers_.end()) return;
  watched_.erase(it->second);
  numbers_.erase(it);
  ::epoll_ctl(epoll_.get(), EPOLL_CTL_DEL, fd, nullptr);
}

void EpollLoop::run_posted() {
  std::vector<Task> tasks;
  {
    std::lock_guard lock(mutex_);
    tasks.swap(posted_);
  }
  for (Task& task : tasks) {
    if (!stopped_) task();
    task = nullptr;
  }
}

void EpollLoop::run_timers() {
  auto now = steady_clock::now();
  while (!stopped_ && !timers_.empty() && timers_.begin()->first.first <= now) {
    auto node = timers_.extract(timers_.begin());
    timer_times_.erase(node.key().second);
    node.mapped()();
  }
}

int EpollLoop::wait_time() {
  {
    std::lock_guard lock(mutex_);
    if (!posted_.empty()) return 0;
  }
  if (timers_.empty()) return -1;
  auto left = std::chrono::ceil<std::chrono::milliseconds>(timers_.begin()->first.first -
                                                           steady_clock::now());
  return static_cast<int>(std::clamp<int64_t>(left.count(), 0, 1 << 30));
}

void EpollLoop::run() {
  thread_ = std::this_thread::get_id();
  while (!stopped_) {
    if (before_waiting_) before_waiting_();
    epoll_event events[64];
    int n = ::epoll_wait(epoll_.get(), events, 64, wait_time());
    for (int i = 0; i < n && !stopped_; ++i) {
      if (events[i].data.u64 == 0) continue;  // woken
      auto it = watched_.find(events[i].data.u64);
      if (it == watched_.end()) continue;
      auto handler = it->second.handler;  // alive during the call even if unwatched in it
      (*handler)(events[i].events);
    }
    run_posted();
    run_timers();
  }
  std::vector<Task> dropped;
  std::lock_guard lock(mutex_);
  over_ = true;
  dropped.swap(posted_);
}

}  // namespace depot::base

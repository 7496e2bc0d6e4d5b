#include "base/pool.h"

#include <condition_variable>
#include <deque>
#include <mutex>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "base/signals.h"

namespace depot::base {

struct Pool::Impl {
  size_t limit = 1;
  std::mutex mutex;
  std::condition_variable work;
  std::deque<std::function<void()>> tasks;
  std::vector<std::thread> threads;
  size_t idle = 0;  // waiting for a task, or about to
  bool stopping = false;

  void start() {
    SignalsBlocked blocked;  // they are the host program's, and SIGPIPE would end it
    threads.emplace_back([this] { run(); });
    ++idle;
  }

  void run() {
    std::unique_lock lock(mutex);
    for (;;) {
      work.wait(lock, [&] { return stopping || !tasks.empty(); });
      if (stopping) return;
      --idle;
      auto task = std::move(tasks.front());
      tasks.pop_front();
      lock.unlock();
      task();
      task = nullptr;  // what it captured goes before the next wait, not after it
      lock.lock();
      ++idle;
    }
  }
};

Pool::Pool(size_t threads) : impl_(std::make_unique<Impl>()) {
  impl_->limit = threads == 0 ? 1 : threads;
}

Pool::~Pool() {
  std::deque<std::function<void()>> dropped;
  std::vector<std::thread> threads;
  {
    std::lock_guard lock(impl_->mutex);
    impl_->stopping = true;
    dropped.swap(impl_->tasks);
    threads.swap(impl_->threads);
  }
  impl_->work.notify_all();
  // Now, not after the wait: what a task holds may be what a running one waits for.
  dropped.clear();
  for (auto& thread : threads) thread.join();
}

Status Pool::start() {
  std::lock_guard lock(impl_->mutex);
  if (!impl_->threads.empty()) return {};
  try {
    impl_->start();
  } catch (const std::system_error& error) {
    return errno_error(error.code().value(), "cannot start a thread");
  }
  return {};
}

void Pool::add(std::function<void()> task) {
  {
    std::lock_guard lock(impl_->mutex);
    if (impl_->stopping) return;
    impl_->tasks.push_back(std::move(task));
    if (impl_->tasks.size() > impl_->idle && impl_->threads.size() < impl_->limit) {
      try {
        impl_->start();
      } catch (const std::system_error&) {
        if (impl_->threads.empty()) impl_->tasks.pop_back();
      }
    }
    if (impl_->idle == 0) return;  // whoever is at work looks for more before it waits
  }
  // Unlocked: the thread that wakes needs the mutex at once.
  impl_->work.notify_one();
}

}  // namespace depot::base

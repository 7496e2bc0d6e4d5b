#include "base/pool.h"

#include <signal.h>

#include <condition_variable>
#include <deque>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace depot::base {

struct Pool::Impl {
  size_t limit = 1;
  std::mutex mutex;
  std::condition_variable work;
  std::deque<std::function<void()>> tasks;
  std::vector<std::thread> threads;
  size_t idle = 0;
  bool stopping = false;

  void run() {
    std::unique_lock lock(mutex);
    for (;;) {
      ++idle;
      work.wait(lock, [&] { return stopping || !tasks.empty(); });
      --idle;
      if (stopping) return;
      auto task = std::move(tasks.front());
      tasks.pop_front();
      lock.unlock();
      task();
      task = nullptr;  // what it captured goes before the next wait, not after it
      lock.lock();
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

void Pool::add(std::function<void()> task) {
  std::lock_guard lock(impl_->mutex);
  if (impl_->stopping) return;
  impl_->tasks.push_back(std::move(task));
  if (impl_->tasks.size() > impl_->idle && impl_->threads.size() < impl_->limit) {
    // The host program's signals are its own threads' business, and SIGPIPE would end it.
    sigset_t all;
    sigset_t before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    impl_->threads.emplace_back([impl = impl_.get()] { impl->run(); });
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }
  impl_->work.notify_one();
}

}  // namespace depot::base

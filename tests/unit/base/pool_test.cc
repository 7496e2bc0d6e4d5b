#include "base/pool.h"

#include <gtest/gtest.h>
#include <signal.h>

#include <atomic>
#include <future>
#include <memory>
#include <thread>
#include <vector>

namespace depot::base {
namespace {

TEST(Pool, RunsTasksInOrderOnOneThread) {
  std::vector<int> seen;
  std::promise<void> done;
  {
    Pool pool(1);
    for (int i = 0; i < 100; ++i) pool.add([&, i] { seen.push_back(i); });
    pool.add([&] { done.set_value(); });
    done.get_future().wait();
  }
  ASSERT_EQ(seen.size(), 100u);
  for (int i = 0; i < 100; ++i) EXPECT_EQ(seen[static_cast<size_t>(i)], i);
}

TEST(Pool, RunsTasksSideBySide) {
  std::promise<void> first;
  std::promise<void> second;
  std::promise<void> done;
  auto seen = first.get_future();
  Pool pool(2);  // goes first, when its tasks have ended
  // Each waits for the other: one thread alone would never end.
  pool.add([&] {
    first.set_value();
    second.get_future().wait();
  });
  pool.add([&] {
    seen.wait();
    second.set_value();
    done.set_value();
  });
  done.get_future().wait();
}

TEST(Pool, DropsWhatHasNotStartedWhenItGoes) {
  auto token = std::make_shared<int>(1);
  std::promise<void> started;
  std::promise<void> go;
  auto pool = std::make_unique<Pool>(1);
  pool->add([&, gate = go.get_future().share()] {
    started.set_value();
    gate.wait();
  });
  started.get_future().wait();
  std::atomic<bool> ran = false;
  pool->add([&ran, token] { ran = true; });
  std::thread destroyer([&] { pool.reset(); });
  // The queued task is destroyed before the destructor waits for the running one.
  while (token.use_count() != 1) std::this_thread::yield();
  go.set_value();
  destroyer.join();
  EXPECT_FALSE(ran);
}

TEST(Pool, LeavesSignalsToTheProgram) {
  std::promise<bool> blocked;
  Pool pool(1);
  pool.add([&] {
    sigset_t mask;
    pthread_sigmask(SIG_SETMASK, nullptr, &mask);
    blocked.set_value(sigismember(&mask, SIGPIPE) == 1 && sigismember(&mask, SIGTERM) == 1);
  });
  EXPECT_TRUE(blocked.get_future().get());
  sigset_t mask;
  pthread_sigmask(SIG_SETMASK, nullptr, &mask);
  EXPECT_EQ(sigismember(&mask, SIGPIPE), 0) << "and the adder's mask is what it was";
}

TEST(Pool, ATaskMayAddTasks) {
  std::promise<int> done;
  Pool pool(1);
  pool.add([&] { pool.add([&] { done.set_value(7); }); });
  EXPECT_EQ(done.get_future().get(), 7);
}

}  // namespace
}  // namespace depot::base

#include "base/epoll_loop.h"

#include <gtest/gtest.h>
#include <sys/epoll.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

namespace depot::base {
namespace {

using namespace std::chrono_literals;

// Runs on a thread of its own, until it is destroyed.
class Running {
 public:
  Running() = default;
  ~Running() {
    loop.stop();
    if (thread_.joinable()) thread_.join();
  }
  void start() {
    thread_ = std::thread([this] { loop.run(); });
  }
  EpollLoop loop;

 private:
  std::thread thread_;
};

TEST(EpollLoop, EveryPostOfManyThreadsRuns) {
  constexpr int kThreads = 4, kPosts = 5000;
  std::atomic<int> left = kThreads * kPosts;
  Running running;
  running.start();
  std::vector<std::thread> threads;
  for (int i = 0; i < kThreads; ++i)
    threads.emplace_back([&] {
      for (int n = 0; n < kPosts; ++n)
        running.loop.post([&] {
          if (--left == 0) left.notify_all();
        });
    });
  for (auto& thread : threads) thread.join();
  for (int now = left; now != 0; now = left) left.wait(now);
}

// Nobody wakes the loop for these: it has to look for them before it waits.
TEST(EpollLoop, WhatTheLoopPostsToItselfRuns) {
  std::atomic<int> steps = 0;
  auto done = [&] {
    steps = 4;
    steps.notify_all();
  };
  bool asked = false;
  Running running;
  running.loop.before_waiting([&] {
    if (steps == 3 && !asked) {
      asked = true;
      running.loop.post(done);
    }
  });
  running.start();
  running.loop.post([&] {
    steps = 1;
    running.loop.post([&] {
      steps = 2;
      running.loop.run_after(1ms, [&] { running.loop.post([&] { steps = 3; }); });
    });
  });
  for (int now = steps; now != 4; now = steps) steps.wait(now);
}

TEST(EpollLoop, AnothersPostComesThroughWhileTheLoopPostsToItself) {
  std::atomic<bool> over = false, came = false;
  std::function<void()> again;
  Running running;
  again = [&] {
    if (!over) running.loop.post(again);
  };
  running.start();
  running.loop.post(again);
  running.loop.post([&] {
    came = true;
    came.notify_all();
  });
  came.wait(false);
  over = true;
}

TEST(EpollLoop, DescriptorsHaveTheirTurnBesidePosts) {
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  std::atomic<bool> over = false;
  std::function<void()> again;
  Running running;
  again = [&] {
    if (!over) running.loop.post(again);
  };
  running.loop.watch(ends[0], EPOLLIN, [&](uint32_t events) {
    EXPECT_EQ(events, uint32_t{EPOLLIN});
    running.loop.unwatch(ends[0]);
    over = true;
    over.notify_all();
  });
  running.start();
  running.loop.post(again);
  EXPECT_EQ(::write(ends[1], "x", 1), 1);
  over.wait(false);
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST(EpollLoop, WhatIsPostedAfterTheEndIsDropped) {
  bool ran = false;
  auto owned = std::make_shared<int>();
  EpollLoop loop;
  loop.post([&] { loop.stop(); });
  loop.run();
  loop.post([&ran, owned] { ran = true; });
  EXPECT_FALSE(ran);
  EXPECT_EQ(owned.use_count(), 1);
}

}  // namespace
}  // namespace depot::base

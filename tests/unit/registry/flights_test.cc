// One run for all who ask at a time, each free to leave.
#include "registry/flights.h"

#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "base/pool.h"
#include "support.h"

namespace depot::registry {
namespace {

using base::Cancel;
using base::Code;
using base::Result;
using registry_test::Answer;

class FlightsTest : public ::testing::Test {
 protected:
  using PromisePtr = std::shared_ptr<Promise<int>>;

  // A run that waits for the test: what it was given comes out of `started`.
  Flights<int>::Start hold() {
    return [this](const Cancel& cancel, PromisePtr promise) {
      runs.fetch_add(1);
      std::lock_guard guard(mutex);
      started.emplace_back(cancel, std::move(promise));
    };
  }

  Cancel root;
  std::unique_ptr<base::Pool> pool = std::make_unique<base::Pool>(2);
  std::shared_ptr<Flights<int>> flights = std::make_shared<Flights<int>>(
      root, [this](std::function<void()> task) { pool->add(std::move(task)); });
  std::atomic<int> runs{0};
  std::mutex mutex;
  std::vector<std::pair<Cancel, PromisePtr>> started;
};

TEST_F(FlightsTest, SharesARunAndStartsAnewAfterIt) {
  Answer<int> a, b, c, other;
  flights->join("k", Cancel::never(), a.done(), hold());
  flights->join("k", Cancel::never(), b.done(), hold());
  flights->join("other", Cancel::never(), other.done(), hold());
  ASSERT_EQ(runs, 2);
  EXPECT_FALSE(a.come());
  started[0].second->settle(7);
  EXPECT_EQ(*a.get(), 7);
  EXPECT_EQ(*b.get(), 7);
  EXPECT_FALSE(other.come());
  flights->join("k", Cancel::never(), c.done(), hold());
  EXPECT_EQ(runs, 3);
  started[0].second->settle(8);  // too late, and nobody's
  started[2].second->settle(9);
  EXPECT_EQ(*c.get(), 9);
  started.clear();
  EXPECT_EQ(other.get().status().code(), Code::kCancelled) << "a promise that goes is kept too";
}

TEST_F(FlightsTest, WhoCancelsLeavesAndTheOthersStay) {
  Cancel first, second;
  Answer<int> a, b, again;
  flights->join("k", first, a.done(), hold());
  flights->join("k", second, b.done(), hold());
  first.trigger();
  EXPECT_EQ(a.get().status().code(), Code::kCancelled);
  EXPECT_FALSE(started[0].first.triggered());
  EXPECT_FALSE(b.come());
  second.trigger();
  EXPECT_EQ(b.get().status().code(), Code::kCancelled);
  EXPECT_TRUE(started[0].first.triggered()) << "nobody is left";
  flights->join("k", Cancel::never(), again.done(), hold());
  EXPECT_EQ(runs, 2) << "a cancelled run is not joined";
  started[0].second->settle(1);
  EXPECT_FALSE(again.come());
  started[1].second->settle(2);
  EXPECT_EQ(*again.get(), 2);
}

TEST_F(FlightsTest, ASwitchThatIsTriggeredAlreadyNeverAnswersOnTheCallersStack) {
  Cancel cancel;
  cancel.trigger();
  auto here = std::this_thread::get_id();
  Answer<int> answer;
  std::atomic<bool> on_stack{false};
  flights->join(
      "k", cancel,
      [&, done = answer.done()](Result<int> result) {
        if (std::this_thread::get_id() == here) on_stack = true;
        done(std::move(result));
      },
      hold());
  EXPECT_EQ(answer.get().status().code(), Code::kCancelled);
  EXPECT_FALSE(on_stack);
}

TEST_F(FlightsTest, TheRootEndsRuns) {
  Answer<int> a;
  flights->join("k", Cancel::never(), a.done(), hold());
  root.trigger();
  EXPECT_TRUE(started[0].first.triggered());
  started.clear();
  EXPECT_EQ(a.get().status().code(), Code::kCancelled);
}

TEST_F(FlightsTest, TooManyKeysAreRefused) {
  std::vector<Answer<int>> answers(Flights<int>::kMaxFlights);
  for (size_t i = 0; i < answers.size(); ++i)
    flights->join(std::to_string(i), Cancel::never(), answers[i].done(), hold());
  Answer<int> more, same;
  flights->join("more", Cancel::never(), more.done(), hold());
  EXPECT_EQ(more.get().status().code(), Code::kResourceExhausted);
  flights->join("0", Cancel::never(), same.done(), hold());
  for (auto& run : started) run.second->settle(1);
  EXPECT_TRUE(same.get().ok());
  for (auto& answer : answers) EXPECT_TRUE(answer.get().ok());
}

// Callers that join, cancel and end from all sides: each is answered exactly once.
TEST_F(FlightsTest, EveryCallerIsAnsweredOnce) {
  constexpr int kThreads = 4, kRounds = 500;
  std::mutex counting;
  std::condition_variable changed;
  int answered = 0;
  auto count = [&](const Result<int>&) {
    std::lock_guard guard(counting);
    ++answered;
    changed.notify_all();
  };
  auto run = [this](const Cancel&, PromisePtr promise) {
    pool->add([promise] { promise->settle(1); });
  };
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kRounds; ++i) {
        Cancel cancel;
        if (i % 7 == 0) cancel.trigger();
        flights->join(std::to_string((i + t) % 3), cancel, count, run);
        if (i % 3 == 0) cancel.trigger();
      }
    });
  }
  for (auto& thread : threads) thread.join();
  {
    std::unique_lock lock(counting);
    EXPECT_TRUE(changed.wait_for(lock, registry_test::kPatience,
                                 [&] { return answered >= kThreads * kRounds; }));
  }
  pool.reset();  // what was under way has ended
  EXPECT_EQ(answered, kThreads * kRounds) << "nobody twice";
}

}  // namespace
}  // namespace depot::registry

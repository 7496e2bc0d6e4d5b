// The log function behind its queue: who logs does not wait, and nothing comes after the end.
#include "machine/log_queue.h"

#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <condition_variable>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

namespace depot::machine {
namespace {

using base::LogLevel;

// A log function that can be held up.
class Gate {
 public:
  base::LogSink function() {
    return [this](LogLevel level, std::string_view text) {
      std::unique_lock lock(mutex_);
      ++entered_;
      changed_.notify_all();
      changed_.wait(lock, [&] { return open_; });
      lines_.push_back(std::to_string(static_cast<int>(level)) + " " + std::string(text));
      changed_.notify_all();
    };
  }
  void open() {
    std::lock_guard lock(mutex_);
    open_ = true;
    changed_.notify_all();
  }
  void wait_entered(int count) {
    std::unique_lock lock(mutex_);
    changed_.wait(lock, [&] { return entered_ >= count; });
  }
  std::vector<std::string> lines() {
    std::lock_guard lock(mutex_);
    return lines_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool open_ = false;
  int entered_ = 0;
  std::vector<std::string> lines_;
};

TEST(LogQueue, KeepsTheOrderAndEndsWithTheLastLine) {
  Gate gate;
  gate.open();
  LogQueue queue(gate.function());
  auto sink = queue.sink();
  for (int i = 0; i < 100; ++i) sink(LogLevel::kInfo, std::to_string(i));
  queue.close();
  auto lines = gate.lines();
  ASSERT_EQ(lines.size(), 100u);
  EXPECT_EQ(lines.front(), "2 0");
  EXPECT_EQ(lines.back(), "2 99");
  sink(LogLevel::kInfo, "late");
  queue.close();
  EXPECT_EQ(gate.lines().size(), 100u);
}

TEST(LogQueue, AFunctionThatBlocksHoldsNobodyUpAndHearsWhatItMissed) {
  Gate gate;
  LogQueue queue(gate.function());
  auto sink = queue.sink();
  sink(LogLevel::kDebug, "first");
  gate.wait_entered(1);
  const int fit = static_cast<int>(LogQueue::kMostLines);
  for (int i = 0; i < fit + 7; ++i) sink(LogLevel::kInfo, "x");
  gate.open();
  gate.wait_entered(fit + 2);
  queue.close();
  auto lines = gate.lines();
  ASSERT_EQ(lines.size(), static_cast<size_t>(fit) + 2);
  EXPECT_EQ(lines.back().substr(0, 26), "3 7 log lines were dropped");
}

TEST(LogQueue, LargeLinesAreBoundedToo) {
  Gate gate;
  LogQueue queue(gate.function());
  queue.sink()(LogLevel::kInfo, std::string(LogQueue::kMostBytes + 1, 'x'));
  gate.open();
  gate.wait_entered(1);
  queue.close();
  EXPECT_EQ(gate.lines().at(0).substr(0, 26), "3 1 log lines were dropped");
}

TEST(LogQueue, MayBeClosedFromWithinTheFunction) {
  auto alive = std::make_shared<int>(0);
  std::weak_ptr<int> watched = alive;
  std::mutex mutex;
  std::condition_variable changed;
  int calls = 0;
  std::unique_ptr<LogQueue> queue;
  queue = std::make_unique<LogQueue>([&, alive](LogLevel, std::string_view) {
    queue.reset();
    std::lock_guard lock(mutex);
    ++calls;
    changed.notify_all();
  });
  alive.reset();
  auto sink = queue->sink();
  sink(LogLevel::kInfo, "one");
  sink(LogLevel::kInfo, "two");
  {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return calls > 0; });
  }
  sink(LogLevel::kInfo, "three");
  sink = nullptr;
  while (!watched.expired()) std::this_thread::yield();  // its thread lets go of it
  std::lock_guard lock(mutex);
  EXPECT_EQ(calls, 1);
}

TEST(LogQueue, LetsGoOfTheFunctionWhenClosed) {
  auto alive = std::make_shared<int>(0);
  std::weak_ptr<int> watched = alive;
  LogQueue queue([alive](LogLevel, std::string_view) {});
  alive.reset();
  auto sink = queue.sink();
  sink(LogLevel::kInfo, "one");
  queue.close();
  EXPECT_TRUE(watched.expired());
}

TEST(LogQueue, AForkedChildDropsLinesAndEnds) {
  Gate gate;
  auto queue = std::make_unique<LogQueue>(gate.function());
  auto sink = queue->sink();
  sink(LogLevel::kInfo, "one");
  gate.wait_entered(1);
  pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    sink(LogLevel::kInfo, "two");
    queue.reset();
    sink = nullptr;
    ::_exit(0);
  }
  int status = -1;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_EQ(status, 0);
  gate.open();
}

TEST(LogQueue, NoFunctionIsNoSink) {
  EXPECT_FALSE(LogQueue(nullptr).sink());
}

}  // namespace
}  // namespace depot::machine

// The heartbeat by hands that the test turns: no thread, no time passes.
#include "machine/heartbeat.h"

#include <gtest/gtest.h>

#include "unit/machine/fake_loop.h"

namespace depot::machine {
namespace {

using namespace std::chrono_literals;
using base::Code;
using base::Hop;
using base::Result;
using base::Status;

class HeartbeatTest : public testing::Test {
 protected:
  void start() {
    heartbeat_ = Heartbeat::start(
        loop_,
        [this](Heartbeat::Done done) {
          sent_.push_back(clock_.at);
          if (answer_)
            done(*answer_);
          else
            waiting_.push_back(std::move(done));
        },
        [this] { ++cancelled_; }, [this](base::LogLevel, std::string_view) { ++logged_; }, clock_);
  }
  using Times = std::vector<std::chrono::milliseconds>;

  FakeClock clock_;
  FakeLoop loop_{clock_};
  std::optional<Result<Heartbeat::CancelsAt>> answer_ = Result<Heartbeat::CancelsAt>(std::nullopt);
  Times sent_;
  std::vector<Heartbeat::Done> waiting_;
  int cancelled_ = 0;
  int logged_ = 0;
  std::shared_ptr<Heartbeat> heartbeat_;
};

TEST_F(HeartbeatTest, ReportsAtOnceAndEveryFiveSeconds) {
  start();
  loop_.advance(0ms);
  EXPECT_EQ(sent_, (Times{0ms}));
  loop_.advance(4999ms);
  EXPECT_EQ(sent_.size(), 1u);
  loop_.advance(1ms);
  EXPECT_EQ(sent_, (Times{0ms, 5000ms}));
  loop_.advance(20s);
  EXPECT_EQ(sent_, (Times{0ms, 5s, 10s, 15s, 20s, 25s}));
  EXPECT_EQ(cancelled_, 0);
}

TEST_F(HeartbeatTest, GoesOnAfterFailures) {
  answer_ = Result<Heartbeat::CancelsAt>(Status(Code::kUnavailable, Hop::kApi, "down"));
  start();
  loop_.advance(20s);
  EXPECT_EQ(sent_.size(), 5u);
  EXPECT_EQ(logged_, 5);
  EXPECT_EQ(cancelled_, 0);
}

TEST_F(HeartbeatTest, NeverHasTwoReportsUnderWay) {
  answer_.reset();
  start();
  loop_.advance(17s);
  EXPECT_EQ(sent_, (Times{0ms}));
  waiting_[0](Heartbeat::CancelsAt());
  loop_.advance(3s);
  EXPECT_EQ(sent_, (Times{0ms, 20s})) << "the next at its own time";
}

TEST_F(HeartbeatTest, TellsOnceThatTheBuildIsToBeCancelled) {
  answer_ = Result<Heartbeat::CancelsAt>(Heartbeat::CancelsAt(clock_.wall() - 1s));
  start();
  loop_.advance(0ms);
  EXPECT_EQ(cancelled_, 1);
  loop_.advance(30s);
  EXPECT_EQ(cancelled_, 1);
  EXPECT_EQ(sent_.size(), 1u) << "and reports no more";
  EXPECT_EQ(loop_.timers(), 0u);
}

TEST_F(HeartbeatTest, WaitsForATimeThatIsToCome) {
  answer_ = Result<Heartbeat::CancelsAt>(Heartbeat::CancelsAt(clock_.wall() + 12s));
  start();
  loop_.advance(14s);
  EXPECT_EQ(cancelled_, 0);
  loop_.advance(1s);
  EXPECT_EQ(cancelled_, 1);
  EXPECT_EQ(sent_.back(), 15s);
}

TEST_F(HeartbeatTest, StopEndsIt) {
  start();
  loop_.advance(6s);
  heartbeat_->stop();
  heartbeat_->stop();
  loop_.advance(60s);
  EXPECT_EQ(sent_, (Times{0ms, 5s}));
  EXPECT_EQ(loop_.timers(), 0u);
}

TEST_F(HeartbeatTest, StopBeforeTheFirstReport) {
  start();
  heartbeat_->stop();
  loop_.advance(60s);
  EXPECT_TRUE(sent_.empty());
}

TEST_F(HeartbeatTest, IgnoresAnAnswerAfterStop) {
  answer_.reset();
  start();
  loop_.advance(1s);
  heartbeat_->stop();
  waiting_[0](Heartbeat::CancelsAt(clock_.wall() - 1h));
  EXPECT_EQ(cancelled_, 0);
}

TEST_F(HeartbeatTest, EndsByItselfWhenLetGoOf) {
  answer_.reset();
  start();
  loop_.advance(1s);
  heartbeat_ = nullptr;
  waiting_[0](Heartbeat::CancelsAt(clock_.wall() - 1h));
  loop_.advance(60s);
  EXPECT_EQ(sent_.size(), 1u);
  EXPECT_EQ(cancelled_, 0);
  EXPECT_EQ(loop_.timers(), 0u);
}

}  // namespace
}  // namespace depot::machine

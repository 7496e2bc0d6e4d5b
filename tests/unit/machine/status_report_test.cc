#include "machine/status_report.h"

#include <gtest/gtest.h>

#include <optional>
#include <thread>

#include "unit/machine/fake_loop.h"

namespace depot::machine {
namespace {

using namespace std::chrono_literals;
using base::Code;
using base::Hop;
using base::Status;
using Batch = StatusReport::Batch;

class StatusReportTest : public testing::Test {
 protected:
  void SetUp() override {
    report_ = StatusReport::create(loop_,
                                   [this](const Batch& batch, std::function<void(Status)> done) {
                                     sent_.push_back(batch);
                                     if (answer_)
                                       done(*answer_);
                                     else
                                       waiting_.push_back(std::move(done));
                                   },
                                   {});
  }

  FakeClock clock_;
  FakeLoop loop_{clock_};
  std::optional<Status> answer_ = Status();
  std::vector<Batch> sent_;
  std::vector<std::function<void(Status)>> waiting_;
  std::shared_ptr<StatusReport> report_;
};

TEST_F(StatusReportTest, SendsTheFirstAtOnceAndThenOnceASecond) {
  report_->add("a");
  loop_.advance(0ms);
  report_->add("b");
  report_->add("c");
  loop_.advance(999ms);
  EXPECT_EQ(sent_, (std::vector<Batch>{{"a"}}));
  loop_.advance(1ms);
  EXPECT_EQ(sent_, (std::vector<Batch>{{"a"}, {"b", "c"}}));
  loop_.advance(10s);
  EXPECT_EQ(sent_.size(), 2u) << "nothing new, nothing sent";
  EXPECT_EQ(loop_.timers(), 0u);
  report_->add("d");
  loop_.advance(0ms);
  EXPECT_EQ(sent_.size(), 3u);
}

TEST_F(StatusReportTest, HasOneRequestUnderWay) {
  answer_.reset();
  report_->add("a");
  loop_.advance(0ms);
  report_->add("b");
  loop_.advance(10s);
  EXPECT_EQ(sent_.size(), 1u);
  waiting_[0](Status());
  loop_.advance(1s);
  EXPECT_EQ(sent_.size(), 2u);
}

TEST_F(StatusReportTest, SendsAgainInOrderWhatFailedForAPassingReason) {
  answer_ = Status(Code::kUnavailable, Hop::kApi, "down");
  report_->add("a");
  loop_.advance(0ms);
  report_->add("b");
  answer_ = Status();
  loop_.advance(1s);
  EXPECT_EQ(sent_, (std::vector<Batch>{{"a"}, {"a", "b"}}));
}

TEST_F(StatusReportTest, DoesNotAskAServerThatDoesNotKnowIt) {
  answer_ = Status(Code::kUnimplemented, Hop::kApi, "no such method");
  report_->add("a");
  loop_.advance(0ms);
  report_->add("b");
  loop_.advance(10s);
  EXPECT_EQ(sent_.size(), 1u);
  report_->flush(1h);  // has nothing to wait for
}

TEST_F(StatusReportTest, DropsWhatIsTooMuch) {
  answer_.reset();
  report_->add(std::string(StatusReport::kMostInBatch + 1, 'x'));
  loop_.advance(0ms);
  EXPECT_TRUE(sent_.empty());
  const std::string large(StatusReport::kMostInBatch, 'x');
  for (int i = 0; i < 40; ++i) report_->add(large);
  size_t total = 0;
  for (size_t i = 0; i < 60; ++i) {
    loop_.advance(1s);
    if (i < waiting_.size()) waiting_[i](Status());
  }
  for (const auto& batch : sent_) {
    EXPECT_EQ(batch.size(), 1u) << "no batch is larger than a server takes";
    total += batch.size();
  }
  EXPECT_EQ(total, StatusReport::kMostQueued / StatusReport::kMostInBatch);
}

TEST_F(StatusReportTest, AFlushSendsTheRestWithoutWaitingForItsTurn) {
  report_->add("a");
  loop_.advance(0ms);
  report_->add("b");
  std::thread flush([&] { report_->flush(60s); });
  while (sent_.size() < 2) {
    loop_.advance(0ms);
    std::this_thread::yield();
  }
  flush.join();
  EXPECT_EQ(sent_.back(), Batch{"b"});
  report_->add("c");
  loop_.advance(10s);
  EXPECT_EQ(sent_.size(), 2u) << "it was the end";
}

TEST_F(StatusReportTest, AFlushDoesNotWaitForEver) {
  answer_.reset();
  report_->add("a");
  report_->flush(1ms);
  loop_.advance(10s);
  EXPECT_TRUE(sent_.empty());
}

TEST_F(StatusReportTest, EndsWithItsOwner) {
  answer_.reset();
  report_->add("a");
  loop_.advance(0ms);
  report_ = nullptr;
  waiting_[0](Status());
  loop_.advance(10s);
  EXPECT_EQ(sent_.size(), 1u);
}

}  // namespace
}  // namespace depot::machine

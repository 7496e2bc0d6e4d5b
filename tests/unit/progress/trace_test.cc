#include "progress/trace.h"

#include <gtest/gtest.h>
#include <moby/buildkit/v1/control.pb.h>

#include "progress/text.h"

namespace depot::progress {
namespace {

using moby::buildkit::v1::StatusResponse;

constexpr Time kSecond = 1'000'000'000;

void set(google::protobuf::Timestamp* stamp, Time seconds) {
  stamp->set_seconds(seconds);
}

// A batch with one vertex; negative: not there.
StatusResponse vertex(const std::string& digest, Time start, Time stop = -1,
                      const std::string& error = "") {
  StatusResponse batch;
  auto* told = batch.add_vertexes();
  told->set_digest(digest);
  told->set_name("name of " + digest);
  told->set_error(error);
  if (start >= 0) set(told->mutable_started(), start);
  if (stop >= 0) set(told->mutable_completed(), stop);
  return batch;
}

StatusResponse log(const std::string& digest, const std::string& data, Time time) {
  StatusResponse batch;
  auto* told = batch.add_logs();
  told->set_vertex(digest);
  told->set_msg(data);
  set(told->mutable_timestamp(), time);
  return batch;
}

StatusResponse status(const std::string& digest, const std::string& id, int64_t current) {
  StatusResponse batch;
  auto* told = batch.add_statuses();
  told->set_vertex(digest);
  told->set_id(id);
  told->set_current(current);
  set(told->mutable_started(), 1);
  return batch;
}

StatusResponse member(const std::string& digest, bool weak, Time start, Time stop) {
  StatusResponse batch = vertex(digest, start, stop);
  auto* group = batch.mutable_vertexes(0)->mutable_progressgroup();
  group->set_id("g");
  group->set_name("the group");
  group->set_weak(weak);
  return batch;
}

TEST(Trace, CountsOverlappingRunsOnce) {
  Trace trace;
  trace.update(vertex("a", 1, 3));
  trace.update(vertex("a", 2, 4));
  trace.update(vertex("a", 11, 12));
  const Step& step = *trace.steps()[0];
  EXPECT_EQ(step.seconds(trace.now()), 4);
  EXPECT_EQ(step.intervals.size(), 2u);
  EXPECT_EQ(trace.now(), 12 * kSecond);
}

TEST(Trace, AStepGoesThroughItsStates) {
  Trace trace;
  trace.update(vertex("a", -1));
  auto step = trace.steps()[0];
  EXPECT_EQ(step->state(), StepState::kPending);
  EXPECT_EQ(step->number, 0);
  trace.update(vertex("a", 1));
  EXPECT_EQ(step->state(), StepState::kRunning);
  EXPECT_EQ(step->number, 1);
  trace.update(vertex("a", 1, 2));
  EXPECT_EQ(step->state(), StepState::kDone);
  trace.update(vertex("a", 3));  // it begins again
  EXPECT_EQ(step->state(), StepState::kRunning);
  trace.update(vertex("a", 3, 4, "exit code: 1"));
  EXPECT_EQ(step->state(), StepState::kError);
  trace.update(vertex("a", 3, 4, "failed: context canceled"));
  EXPECT_EQ(step->state(), StepState::kCanceled);
  auto cached = vertex("b", 5, 5);
  cached.mutable_vertexes(0)->set_cached(true);
  trace.update(cached);
  EXPECT_EQ(trace.steps()[1]->state(), StepState::kCached);
  EXPECT_EQ(trace.steps()[1]->number, 2);
}

TEST(Trace, ACancelEndsWhatRuns) {
  Trace trace;
  trace.update(vertex("a", 1));
  trace.update(vertex("b", 2, 9));
  trace.update(vertex("c", -1));
  auto canceled = trace.cancel();
  ASSERT_EQ(canceled.size(), 1u);
  EXPECT_EQ(canceled[0]->state(), StepState::kCanceled);
  EXPECT_EQ(canceled[0]->seconds(0), 8);  // the builder's clock was at 9
}

TEST(Trace, LinesOfALogAreCutAnywhere) {
  Trace trace;
  trace.update(vertex("a", 1));
  trace.update(log("a", "one\ntw", 2));
  const LogTail& tail = trace.steps()[0]->log;
  EXPECT_TRUE(tail.partial);
  trace.update(log("a", "o\nthree\n", 3));
  EXPECT_EQ(tail.lines, (std::deque<std::string>{"one", "two", "three"}));
  EXPECT_EQ(tail.times, (std::deque<Time>{2 * kSecond, 2 * kSecond, 3 * kSecond}));
  EXPECT_FALSE(tail.partial);
  for (int i = 0; i < 20; ++i) trace.update(log("a", std::to_string(i) + "\n", 4));
  EXPECT_EQ(tail.lines.size(), 10u);
  EXPECT_EQ(tail.lines.back(), "19");
  EXPECT_EQ(tail.dropped, 13u);
}

TEST(Trace, OfATransferTheLatestIsKept) {
  Trace trace;
  trace.update(vertex("a", 1));
  auto changes = trace.update(status("a", "layer", 1));
  ASSERT_EQ(changes.size(), 1u);
  EXPECT_EQ(changes[0].statuses, std::vector<std::string>{"layer"});
  trace.update(status("a", "layer", 2));
  trace.update(status("nobody's", "layer", 3));
  ASSERT_EQ(trace.steps().size(), 1u);
  ASSERT_EQ(trace.steps()[0]->statuses.size(), 1u);
  EXPECT_EQ(trace.steps()[0]->statuses[0].current, 2);
}

TEST(Trace, AWarningToldTwiceIsOne) {
  Trace trace;
  StatusResponse batch = vertex("a", 1);
  for (int i = 0; i < 2; ++i) {
    auto* warning = batch.add_warnings();
    warning->set_vertex("a");
    warning->set_short_("old");
    warning->add_ranges()->mutable_start()->set_line(3);
  }
  EXPECT_EQ(trace.update(batch)[0].warnings.size(), 2u);
  batch.mutable_warnings(1)->mutable_ranges(0)->mutable_start()->set_line(4);
  trace.update(batch);
  EXPECT_EQ(trace.steps()[0]->warnings.size(), 2u);
  EXPECT_EQ(trace.warnings().size(), 2u);
}

TEST(Trace, AGroupIsOneStepAndItsMembersAreToo) {
  Trace trace;
  trace.update(member("a", true, 1, -1));
  ASSERT_EQ(trace.steps().size(), 2u);
  EXPECT_TRUE(trace.shown().empty());  // none but weak ones have begun
  trace.update(member("b", false, 2, 3));
  ASSERT_EQ(trace.shown().size(), 1u);
  auto group = trace.shown()[0];
  EXPECT_EQ(group->name, "the group");
  EXPECT_EQ(group->state(), StepState::kRunning);
  trace.update(member("a", true, 1, 5));
  EXPECT_EQ(group->state(), StepState::kDone);
  trace.update(log("a", "of a\n", 3));
  EXPECT_EQ(group->log.lines, std::deque<std::string>{"of a"});
  EXPECT_EQ(trace.steps()[2]->group, "g");
}

TEST(Trace, ABuilderCannotFillTheMemory) {
  Trace::Limits limits;
  limits.steps = 100;
  limits.bytes = 1 << 20;
  limits.text = 1000;
  limits.statuses = limits.warnings = 50;
  Trace trace(limits);
  for (int i = 0; i < 500; ++i) {
    std::string digest = std::to_string(i);
    auto batch = vertex(digest, i, i + 1, std::string(5000, 'e') + "context canceled");
    batch.mutable_vertexes(0)->set_name(std::string(5000, 'n'));
    trace.update(batch);
    for (int k = 0; k < 60; ++k) trace.update(status(digest, "layer" + std::to_string(k), k));
    trace.update(log(digest, std::string(100000, 'x'), i));
    for (int k = 0; k < 60; ++k) {
      StatusResponse warnings;
      warnings.add_warnings()->set_vertex(digest);
      warnings.mutable_warnings(0)->set_short_(std::to_string(k));
      trace.update(warnings);
    }
    ASSERT_LE(trace.steps().size(), limits.steps);
  }
  const Step& last = *trace.steps().back();
  EXPECT_LE(last.name.size(), 1003u);
  EXPECT_TRUE(last.canceled());
  EXPECT_EQ(last.statuses.size(), 50u);
  EXPECT_EQ(last.dropped_statuses, 10u);
  EXPECT_EQ(last.status(59).current, 59);
  EXPECT_EQ(last.warnings.size(), 50u);
  EXPECT_EQ(last.dropped_warnings, 10u);
  EXPECT_EQ(last.log.lines.back().size(), 1000u);
  EXPECT_EQ(trace.warnings().size(), 50u);
  EXPECT_GT(trace.dropped_steps(), 400u);
  EXPECT_EQ(trace.dropped_steps() + trace.steps().size(), 500u);
}

TEST(Trace, NonsenseIsHarmless) {
  Trace trace;
  StatusResponse batch = vertex("g", 1);
  batch.add_vertexes()->mutable_started()->set_seconds(INT64_MAX);
  batch.add_vertexes()->mutable_completed()->set_seconds(INT64_MIN);
  batch.mutable_vertexes(2)->mutable_started()->set_nanos(-1);
  trace.update(batch);
  trace.update(member("a", false, 1, 2));  // its group has the name of a vertex
  trace.update(vertex("a", 5, 2));
  EXPECT_EQ(trace.shown().size(), 3u);
  for (const auto& step : trace.steps()) step->seconds(trace.now());
}

TEST(Platform, IsTheOneThatAStepRunsOn) {
  EXPECT_EQ(platform_in_name("[linux/arm64 stage 1/2] RUN x"), "linux/arm64");
  EXPECT_EQ(platform_in_name("[linux/amd64->arm64 2/2] COPY a/b /"), "linux/amd64");
  EXPECT_EQ(platform_in_name("[linux/arm/v7 internal] load metadata"), "linux/arm/v7");
  EXPECT_EQ(platform_in_name("[app linux/arm64 stage  1/12] RUN x"), "linux/arm64");
  EXPECT_EQ(platform_in_name("[stage 1/2] RUN linux/amd64"), "");
  EXPECT_EQ(platform_in_name("[1/2] RUN x"), "");
  EXPECT_EQ(platform_in_name("[internal] load remote build context"), "");
  EXPECT_EQ(platform_in_name("exporting to image"), "");
  EXPECT_EQ(platform_in_name("[linux/arm64"), "");
  EXPECT_EQ(platform_in_name(""), "");
}

TEST(Sizes, AreThoseOfBuildKit) {
  EXPECT_EQ(size_text(0), "0B");
  EXPECT_EQ(size_text(999), "999B");
  EXPECT_EQ(size_text(1000), "1.00kB");
  EXPECT_EQ(size_text(999999), "1000.00kB");
  EXPECT_EQ(size_text(1500000), "1.50MB");
  EXPECT_EQ(size_text(-1500), "-1.50kB");
  EXPECT_EQ(size_text(INT64_MAX), "9.22EB");
}

}  // namespace
}  // namespace depot::progress

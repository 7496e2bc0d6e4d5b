#include "solve/tracker.h"

#include <gtest/gtest.h>
#include <moby/buildkit/v1/control.pb.h>

namespace depot::solve {
namespace {

using base::Code;
using base::Hop;
using base::Status;
using Batch = ::moby::buildkit::v1::StatusResponse;

void vertex(Batch& batch, const std::string& digest, const std::string& name,
            const std::string& error = "") {
  auto* added = batch.add_vertexes();
  added->set_digest(digest);
  added->set_name(name);
  added->set_error(error);
}
void log(Batch& batch, const std::string& digest, const std::string& text) {
  auto* added = batch.add_logs();
  added->set_vertex(digest);
  added->set_msg(text);
}
Status failure(const std::string& digest = "") {
  base::Error error;
  error.code = Code::kUnknown;
  error.hop = Hop::kSolve;
  error.message = "failed";
  error.vertex_digest = digest;
  return Status(error);
}

TEST(Tracker, KnowsTheFailedStepAndItsLog) {
  Tracker tracker;
  Batch batch;
  vertex(batch, "a", "step a");
  vertex(batch, "b", "step b");
  vertex(batch, "c", "step c", "process: context canceled");
  log(batch, "a", "fine\n");
  log(batch, "b", "one\ntw");
  log(batch, "b", "o\n");
  tracker.add(batch);
  Batch end;
  vertex(end, "b", "step b", "exit code: 3");
  vertex(end, "c", "step c", "context canceled");
  tracker.add(end);
  auto error = tracker.enrich(failure()).error();
  EXPECT_EQ(error.vertex_digest, "b");
  EXPECT_EQ(error.vertex_name, "step b");
  EXPECT_EQ(error.log_tail, "one\ntwo");
  EXPECT_EQ(tracker.enrich(failure("a")).error().log_tail, "fine") << "what the error names";
  EXPECT_EQ(tracker.enrich(failure("unknown")).error().vertex_name, "");
  EXPECT_TRUE(tracker.enrich({}).ok());
}

TEST(Tracker, TellsTheLastTenLines) {
  Tracker tracker;
  Batch batch;
  vertex(batch, "a", "a", "failed");
  for (int i = 0; i < 5000; ++i) log(batch, "a", "line " + std::to_string(i) + "\n");
  tracker.add(batch);
  std::string expected = "line 4990";
  for (int i = 4991; i < 5000; ++i) expected += "\nline " + std::to_string(i);
  EXPECT_EQ(tracker.enrich(failure()).error().log_tail, expected);
}

TEST(Tracker, IsBounded) {
  Tracker tracker;
  Batch batch;
  vertex(batch, "a", std::string(1 << 20, 'n'), "failed");
  for (int i = 0; i < 20; ++i) log(batch, "a", std::string(1 << 20, 'x'));
  log(batch, "stranger", "of no vertex");
  tracker.add(batch);
  auto error = tracker.enrich(failure()).error();
  EXPECT_LE(error.vertex_name.size(), 4096u);
  EXPECT_LE(error.log_tail.size(), size_t{16 << 10});
  // The logs of the latest steps alone are kept.
  Batch many;
  for (int i = 0; i < 1000; ++i) {
    vertex(many, std::to_string(i), "n");
    log(many, std::to_string(i), "text");
  }
  tracker.add(many);
  EXPECT_EQ(tracker.enrich(failure("a")).error().log_tail, "");
  EXPECT_EQ(tracker.enrich(failure("999")).error().log_tail, "text");
}

}  // namespace
}  // namespace depot::solve

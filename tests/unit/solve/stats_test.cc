#include "solve/stats.h"

#include <gtest/gtest.h>
#include <moby/buildkit/v1/control.pb.h>

namespace depot::solve {
namespace {

using ::moby::buildkit::v1::StatusResponse;

::moby::buildkit::v1::Vertex& vertex(StatusResponse& batch, const std::string& digest,
                                     const std::string& name, int64_t begin = 0, int64_t end = 0) {
  auto* one = batch.add_vertexes();
  one->set_digest(digest);
  one->set_name(name);
  if (begin) one->mutable_started()->set_seconds(begin);
  if (end) one->mutable_completed()->set_seconds(end);
  return *one;
}

using std::chrono::seconds;

TEST(StatsFold, CountsStepsAsTheHistoryDoes) {
  StatsFold fold;
  StatusResponse batch;
  vertex(batch, "a", "one");
  vertex(batch, "b", "two").set_cached(true);
  vertex(batch, "a", "one", 5, 6);
  fold.add(batch);
  batch.Clear();
  vertex(batch, "b", "two", 5, 6);
  vertex(batch, "c", "three", 7);
  fold.add(batch);
  Stats stats = fold.stats();
  EXPECT_EQ(stats.steps, 3);
  EXPECT_EQ(stats.cached_steps, 1);
  EXPECT_EQ(stats.completed_steps, 2);
  EXPECT_EQ(stats.context + stats.exporting + stats.pushing, seconds(0));
}

TEST(StatsFold, SideBySideCountsOnce) {
  StatsFold fold;
  StatusResponse batch;
  vertex(batch, "a", "[internal] load build context", 10, 14);
  vertex(batch, "b", "[context other] load from client", 12, 15);
  vertex(batch, "c", "exporting to image", 20, 30);
  vertex(batch, "d", "exporting to oci image format", 22);
  auto* push = batch.add_statuses();
  push->set_id("pushing layers");
  push->mutable_started()->set_seconds(25);
  push->mutable_completed()->set_seconds(28);
  push = batch.add_statuses();
  push->set_id("pushing manifest for host/name:tag");
  push->mutable_started()->set_seconds(28);
  push->mutable_completed()->set_seconds(29);
  fold.add(batch);
  Stats stats = fold.stats();
  EXPECT_EQ(stats.context, seconds(5));
  EXPECT_EQ(stats.exporting, seconds(10));
  EXPECT_EQ(stats.pushing, seconds(4));
}

TEST(StatsFold, TakesNoNonsense) {
  StatsFold fold;
  StatusResponse batch;
  vertex(batch, "a", "exporting to image", INT64_MAX, INT64_MIN);
  vertex(batch, "b", "[internal] load build context", 50, 40);
  for (int i = 0; i < 100005; ++i) vertex(batch, std::to_string(i), "step");
  fold.add(batch);
  Stats stats = fold.stats();
  EXPECT_EQ(stats.exporting, seconds(0));
  EXPECT_EQ(stats.context, seconds(0));
  EXPECT_EQ(stats.steps, 100000);
}

}  // namespace
}  // namespace depot::solve

// Questions to a builder that never answers; real ones are asked in tests/python/test_books.py.
#include "builder/ask.h"

#include <gtest/gtest.h>

#include <thread>

#include "../buildkit/silent_server.h"
#include "builder/disk_usage.h"
#include "builder/history.h"

namespace depot::builder {
namespace {

using namespace std::chrono_literals;
using base::Code;

class Silent : public testing::Test {
 protected:
  Silent() {
    buildkit::Endpoint endpoint;
    endpoint.address = server_.address();
    auto opened = buildkit::Channel::open(endpoint);
    EXPECT_TRUE(opened.ok());
    channel_ = *opened;
  }
  ~Silent() override { channel_->stop(); }

  buildkit::SilentServer server_;
  std::shared_ptr<buildkit::Channel> channel_;
};

TEST_F(Silent, EndsByItsDeadline) {
  auto found = disk_usage(*channel_, {}, {}, {base::Cancel::never(), 200ms});
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.status().code(), Code::kDeadlineExceeded);
}

TEST_F(Silent, EndsByItsCancel) {
  base::Cancel cancel;
  std::thread other([&] { cancel.trigger(); });
  auto pruned = prune(*channel_, {}, {}, nullptr, {cancel, 1h});
  other.join();
  ASSERT_FALSE(pruned.ok());
  EXPECT_EQ(pruned.status().code(), Code::kCancelled);
  EXPECT_EQ(list_history(*channel_, {}, {}, {cancel, 1h}).status().code(), Code::kCancelled);
}

TEST_F(Silent, EndsWithItsChannel) {
  std::thread other([&] { channel_->stop(); });
  auto found = disk_usage(*channel_, {}, {}, {base::Cancel::never(), 1min});
  other.join();
  EXPECT_FALSE(found.ok());
}

TEST_F(Silent, EndsWhenItsChannelHadEnded) {
  channel_->stop();
  EXPECT_FALSE(disk_usage(*channel_, {}, {}, {base::Cancel::never(), 1min}).ok());
}

TEST_F(Silent, WhatAnOldBuilderLacksIsSaidBeforeItIsAsked) {
  buildkit::Worker old;
  old.buildkit_version = "v0.13.2";
  const Ask how{base::Cancel::never(), 1h};  // it would not answer
  Filters aged;
  aged.older_than = 1h;
  PruneOptions limits;
  limits.min_free_space = 1;
  HistoryOptions filtered;
  filtered.filters = {"status=error"};
  for (const auto& status : {disk_usage(*channel_, {old}, aged, how).status(),
                             prune(*channel_, {old}, limits, nullptr, how).status(),
                             list_history(*channel_, {old}, filtered, how).status()}) {
    EXPECT_EQ(status.code(), Code::kFailedPrecondition);
    EXPECT_NE(status.message().find("and it is 0.13"), std::string::npos) << status.message();
  }
  EXPECT_EQ(delete_history(*channel_, "", how).code(), Code::kInvalidArgument);
  EXPECT_EQ(read_blob(*channel_, "sha256:12", nullptr, how).code(), Code::kInvalidArgument);
}

TEST(ExplainMissing, NamesTheVersion) {
  base::Status unimplemented(Code::kUnimplemented, base::Hop::kMachine, "unknown method");
  auto told = explain_missing(unimplemented, "a build history", {0, 11});
  EXPECT_EQ(told.code(), Code::kFailedPrecondition);
  EXPECT_NE(told.message().find("a build history: BuildKit can since 0.11"), std::string::npos);
  base::Status other(Code::kUnavailable, base::Hop::kMachine, "gone");
  EXPECT_EQ(explain_missing(other, "x", {0, 11}).code(), Code::kUnavailable);
  EXPECT_TRUE(explain_missing({}, "x", {0, 11}).ok());
}

}  // namespace
}  // namespace depot::builder

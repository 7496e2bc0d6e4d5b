// The displays in real time, and the last lines that they print.
#include "progress/progress.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <unistd.h>

#include <moby/buildkit/v1/control.pb.h>

#include <condition_variable>
#include <mutex>
#include <thread>

#include "progress/warnings.h"

namespace depot::progress {
namespace {

using moby::buildkit::v1::StatusResponse;

StatusResponse vertex(const std::string& digest, int start, int stop = 0) {
  StatusResponse batch;
  auto* told = batch.add_vertexes();
  told->set_digest(digest);
  told->set_name("[1/2] RUN " + digest);
  told->mutable_started()->set_seconds(start);
  if (stop != 0) told->mutable_completed()->set_seconds(stop);
  return batch;
}

// What was written; somebody may wait for a text.
struct Written {
  std::mutex mutex;
  std::condition_variable changed;
  std::string text;
  bool refuse = false;

  std::unique_ptr<Output> output() {
    return Output::to_function([this](std::string_view more) {
      std::lock_guard lock(mutex);
      if (refuse) return 7;
      text += more;
      changed.notify_all();
      return 0;
    });
  }
  void wait_for(const std::string& what) {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return text.find(what) != std::string::npos; });
  }
};

std::unique_ptr<Progress> make(std::string_view kind, Written& written, Options options = {},
                               std::map<std::string, std::string, std::less<>> environment = {}) {
  auto made =
      Progress::make(kind, options, base::Environment(std::move(environment)), written.output());
  EXPECT_TRUE(made.ok()) << made.status().message();
  return std::move(made).value();
}

TEST(Progress, WhatComesBetweenTwoPrintsIsPrintedWithoutAFurtherBatch) {
  Written written;
  auto progress = make("plain", written);
  ASSERT_TRUE(progress->update(vertex("a", 1)).ok());
  written.wait_for("#1 [1/2] RUN a\n");  // the first one at once
  ASSERT_TRUE(progress->update(vertex("a", 1, 2)).ok());
  written.wait_for("#1 DONE 1.0s\n");
  ASSERT_TRUE(progress->finish(Ending::kSuccess).ok());
  EXPECT_EQ(written.text, "#1 [1/2] RUN a\n#1 DONE 1.0s\n");
}

TEST(Progress, TheEndPrintsWhatWasHeldBack) {
  Written written;
  auto progress = make("plain", written);
  for (int i = 0; i < 50; ++i)
    ASSERT_TRUE(progress->update(vertex(std::to_string(i), i + 1, i + 2)).ok());
  ASSERT_TRUE(progress->finish(Ending::kSuccess).ok());
  EXPECT_NE(written.text.find("RUN 49\n#50 DONE 1.0s\n"), std::string::npos);
  EXPECT_TRUE(progress->finish(Ending::kSuccess).ok());
  EXPECT_EQ(progress->update(vertex("a", 1)).hop(), base::Hop::kUsage);
}

TEST(Progress, OfACancelledBuildNoStepIsLeftRunning) {
  Written written;
  Options options;
  options.replay = true;
  auto progress = make("plain", written, options);
  ASSERT_TRUE(progress->update(vertex("a", 1)).ok());
  ASSERT_TRUE(progress->update(vertex("b", 1, 2)).ok());
  ASSERT_TRUE(progress->finish(Ending::kCanceled).ok());
  EXPECT_EQ(
      written.text,
      "#1 [1/2] RUN a\n#1 ...\n\n#2 [1/2] RUN b\n#2 DONE 1.0s\n\n#1 [1/2] RUN a\n#1 CANCELED\n");
}

TEST(Progress, ARefusalEndsTheDisplayAndComesBack) {
  Written written;
  written.refuse = true;
  auto progress = make("plain", written);
  base::Status status;
  while (status.ok()) status = progress->update(vertex("a", 1));
  EXPECT_EQ(status.error().user_code, 7);
  EXPECT_EQ(progress->finish(Ending::kSuccess).error().user_code, 7);
}

TEST(Progress, AReaderThatReadsNothingHoldsNoBatchUp) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  for (const char* kind : {"plain", "tty"}) {
    Options options;
    options.width = 200;
    options.height = 50;
    auto made = Progress::make(kind, options, {}, Output::to_descriptor(ends[1]).value());
    ASSERT_TRUE(made.ok());
    StatusResponse batch = vertex("a", 1);
    ASSERT_TRUE((*made)->update(batch).ok());
    StatusResponse log;
    log.add_logs()->set_vertex("a");
    log.mutable_logs(0)->set_msg(std::string(1 << 16, 'x') + "\n");
    for (int i = 0; i < 100; ++i) ASSERT_TRUE((*made)->update(log).ok());
    // The pipe is full by now or soon; letting go of it does not wait for a reader.
  }
  ::close(ends[0]);
  ::close(ends[1]);
}

TEST(Progress, APipeWithoutAReaderIsAnErrorAndNoSignal) {
  ASSERT_NE(::signal(SIGPIPE, SIG_DFL), SIG_ERR);
  for (const char* kind : {"plain", "rawjson"}) {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    ::close(ends[0]);
    auto made = Progress::make(kind, {}, {}, Output::to_descriptor(ends[1]).value());
    ASSERT_TRUE(made.ok());
    base::Status status;
    while (status.ok()) status = (*made)->update(vertex("a", 1));
    EXPECT_EQ(status.hop(), base::Hop::kLocal);
    sigset_t pending;
    ::sigpending(&pending);
    EXPECT_EQ(::sigismember(&pending, SIGPIPE), 0);
    ::close(ends[1]);
  }
}

TEST(Progress, TheKindIsAsked) {
  Written written;
  EXPECT_EQ(make("auto", written)->kind(), Kind::kPlain);
  EXPECT_EQ(make("", written, {}, {{"BUILDKIT_PROGRESS", "rawjson"}})->kind(), Kind::kRawjson);
  EXPECT_EQ(make("plain", written, {}, {{"BUILDKIT_PROGRESS", "rawjson"}})->kind(), Kind::kPlain);
  EXPECT_EQ(make("none", written)->kind(), Kind::kQuiet);
  for (const char* kind : {"tty", "nonsense"}) {
    auto made = Progress::make(kind, {}, {}, written.output());
    ASSERT_FALSE(made.ok());
    EXPECT_EQ(made.status().hop(), base::Hop::kUsage);
    EXPECT_NE(made.status().error().hint, "");
  }
}

TEST(Progress, RawjsonIsALineForEachBatchAtOnce) {
  Written written;
  auto progress = make("rawjson", written);
  ASSERT_TRUE(progress->update_json(R"({"vertexes":[{"digest":"a","name":"A"}]})").ok());
  EXPECT_EQ(written.text, "{\"vertexes\":[{\"digest\":\"a\",\"name\":\"A\"}]}\n");
  EXPECT_FALSE(progress->update_json("{").ok());
}

StepWarning warning(const std::string& message) {
  StepWarning out;
  out.message = message;
  out.details = {"what it is about"};
  out.url = "https://docs.example/rule";
  out.source = {"Dockerfile", "from scratch\nENV a b", "Dockerfile", {{2, 0, 2, 0}}};
  return out;
}

// docker buildx's words.
TEST(Warnings, AreOneLineEach) {
  EXPECT_EQ(warnings_text({}, false, "how", ""), "");
  EXPECT_EQ(warnings_text({warning("one")}, false, "use --debug to expand", ""),
            "\n 1 warning found (use --debug to expand):\n - one\n");
  EXPECT_EQ(warnings_text({warning("one"), warning("t\x1b[2Jwo")}, false, "", "\x1b[33m"),
            "\n \x1b[33m2 warnings found:\n\x1b[0m - one\n - two\n");
}

TEST(Warnings, AreExpandedWithTheLinesOfTheDockerfile) {
  EXPECT_EQ(warnings_text({warning("one")}, true, "how", ""),
            "\n 1 warning found:\n"
            " - one\n"
            "what it is about\n"
            "More info: https://docs.example/rule\n"
            "Dockerfile:2\n"
            "--------------------\n"
            "   1 |     from scratch\n"
            "   2 | >>> ENV a b\n"
            "--------------------\n"
            "\n");
}

}  // namespace
}  // namespace depot::progress

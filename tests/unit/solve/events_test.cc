// Exports to a callback of the caller's: bytes cross from the loop to the caller's thread, with a
// bound on what may wait between them.
#include "solve/events.h"

#include <gtest/gtest.h>
#include <moby/buildkit/v1/control.pb.h>

#include <thread>

namespace depot::solve {
namespace {

using base::Status;

struct Sink {
  explicit Sink(ExportWriter writer)
      : sink(std::make_shared<CallbackSink>(queue,
                                            std::make_shared<ExportWriter>(std::move(writer)))) {}
  bool write(const std::string& text) {
    return sink->write({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
  }
  std::shared_ptr<EventQueue> queue = std::make_shared<EventQueue>();
  std::shared_ptr<CallbackSink> sink;
};

TEST(Events, AStreamIsHeldWhileTooMuchOfItWaitsAndGoesOnOnce) {
  EventQueue queue;
  const std::string quarter(EventQueue::kStatusHigh / 4, 's');
  for (int i = 0; i < 4; ++i) {
    EXPECT_FALSE(queue.holds());
    EXPECT_FALSE(queue.resumes()) << "it was not held";
    queue.push({Event::Kind::kStatus, quarter, nullptr});
  }
  EXPECT_TRUE(queue.holds());
  queue.push({Event::Kind::kDone, "", nullptr});
  for (bool resumes : {false, false, true, false}) {
    EXPECT_EQ(queue.pop().bytes, quarter);
    EXPECT_EQ(queue.resumes(), resumes);
  }
  EXPECT_EQ(queue.pop().kind, Event::Kind::kDone);
}

TEST(Events, PopWaitsForAnotherThread) {
  EventQueue queue;
  std::thread other([&] { queue.push({Event::Kind::kDone, "", nullptr}); });
  EXPECT_EQ(queue.pop().kind, Event::Kind::kDone);
  other.join();
}

TEST(CallbackSink, HandsBytesThenAnEmptyPieceThenDone) {
  std::string got;
  int ends = 0;
  Sink sink([&](std::span<const uint8_t> data) {
    if (data.empty()) ++ends;
    got.append(reinterpret_cast<const char*>(data.data()), data.size());
    return 0;
  });
  ASSERT_TRUE(sink.sink->open({}).ok());
  EXPECT_FALSE(sink.sink->open({}).ok()) << "once";
  EXPECT_TRUE(sink.write("hello "));
  EXPECT_TRUE(sink.write(""));
  EXPECT_TRUE(sink.write("world"));
  bool done = false;
  sink.sink->finish([&](Status status) { done = status.ok(); });
  EXPECT_FALSE(done);
  for (int i = 0; i < 3; ++i) {
    Event event = sink.queue->pop();
    ASSERT_TRUE(event.sink->deliver(event).ok());
  }
  EXPECT_EQ(got, "hello world");
  EXPECT_EQ(ends, 1);
  EXPECT_TRUE(done);
}

TEST(CallbackSink, HoldsThePeerBackUntilTheCallerHasCaughtUp) {
  Sink sink([](std::span<const uint8_t>) { return 0; });
  int ready = 0;
  ASSERT_TRUE(sink.sink->open([&](Status status) { ready += status.ok() ? 1 : 100; }).ok());
  const std::string mebi(1 << 20, 'x');
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(sink.write(mebi));
  EXPECT_FALSE(sink.write(mebi));
  for (int i = 0; i < 4; ++i) {
    Event event = sink.queue->pop();
    ASSERT_TRUE(event.sink->deliver(event).ok());
  }
  EXPECT_EQ(ready, 1);
}

TEST(CallbackSink, ACallbackMayStopTheSolve) {
  Sink sink([](std::span<const uint8_t>) { return 42; });
  ASSERT_TRUE(sink.sink->open([](Status) {}).ok());
  sink.write("x");
  Event event = sink.queue->pop();
  Status status = event.sink->deliver(event);
  ASSERT_FALSE(status.ok());
  EXPECT_EQ(status.hop(), base::Hop::kCallback);
  EXPECT_EQ(status.error().user_code, 42);
}

TEST(Events, ACallRunsOnTheThreadThatPops) {
  EventQueue queue;
  std::thread::id ran_on;
  bool ran = false;
  std::thread other([&] {
    ran = queue.call(
        [&]() -> Status {
          ran_on = std::this_thread::get_id();
          return {};
        },
        base::Cancel::never());
  });
  {
    Event event = queue.pop();
    ASSERT_EQ(event.kind, Event::Kind::kCall);
    EXPECT_TRUE(event.call().ok());
  }
  other.join();
  EXPECT_TRUE(ran);
  EXPECT_EQ(ran_on, std::this_thread::get_id());
}

TEST(Events, ACallThatNobodyRunsEnds) {
  auto nothing = []() -> Status { return {}; };
  EventQueue queue;
  std::thread dropped([&] { EXPECT_FALSE(queue.call(nothing, base::Cancel::never())); });
  queue.pop();  // and is let go of
  dropped.join();

  base::Cancel cancel;
  std::thread cancelled([&] { EXPECT_FALSE(queue.call(nothing, cancel)); });
  Event waiting = queue.pop();
  cancel.trigger();
  cancelled.join();

  std::thread closed([&] { EXPECT_FALSE(queue.call(nothing, base::Cancel::never())); });
  queue.close();
  closed.join();
  EXPECT_FALSE(queue.call(nothing, base::Cancel::never()));
}

TEST(Events, WhoGotCredentialsIsAStatus) {
  Event event = credential_event("registry.example", "auth.example");
  EXPECT_EQ(event.kind, Event::Kind::kStatus);
  ::moby::buildkit::v1::StatusResponse batch;
  ASSERT_TRUE(batch.ParseFromString(event.bytes));
  ASSERT_EQ(batch.vertexes_size(), 1);
  EXPECT_EQ(batch.vertexes(0).name(), "[auth] token for registry.example from auth.example");
  EXPECT_TRUE(batch.vertexes(0).has_completed());
  ASSERT_EQ(event.credential_uses.size(), 1u);
  EXPECT_EQ(event.credential_uses[0].receiver, "auth.example");
  ASSERT_TRUE(batch.ParseFromString(credential_event("registry.example", "").bytes));
  EXPECT_EQ(batch.vertexes(0).name(), "[auth] sharing credentials for registry.example");
}

}  // namespace
}  // namespace depot::solve

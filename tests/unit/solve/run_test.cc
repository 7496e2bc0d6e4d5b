// A solve on a connection that ends under it: whatever the moment, run() returns.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <thread>

#include "base/fd.h"
#include "solve/solve.h"

namespace depot::solve {
namespace {

using base::Code;
using base::Hop;
using base::Status;

// Accepts (by its backlog) and never says a word.
class SilentBuilder {
 public:
  SilentBuilder() : fd_(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    EXPECT_EQ(::bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(fd_.get(), 64), 0);
    EXPECT_EQ(::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    endpoint_.address = "tcp://127.0.0.1:" + std::to_string(ntohs(address.sin_port));
  }
  std::shared_ptr<buildkit::Channel> connect() const {
    auto channel = buildkit::Channel::open(endpoint_);
    EXPECT_TRUE(channel.ok());
    return *channel;
  }

 private:
  base::UniqueFd fd_;
  buildkit::Endpoint endpoint_;
};

Request nothing() {
  Request request;
  request.exports.push_back({"cacheonly", {}, "", nullptr});
  return request;
}

TEST(Run, EndsWhenTheConnectionHadEndedBefore) {
  SilentBuilder builder;
  auto channel = builder.connect();
  channel->stop();
  RunOptions options;
  auto result = run(channel, nothing(), options);
  EXPECT_EQ(result.status().code(), Code::kCancelled);

  base::Cancel gone;
  gone.trigger();
  options.machine_gone = gone;
  options.why_gone = [] { return Status(Code::kCancelled, Hop::kApi, "taken away"); };
  result = run(channel, nothing(), options);
  EXPECT_EQ(result.status().message(), "taken away");
}

TEST(Run, EndsWheneverTheConnectionEnds) {
  SilentBuilder builder;
  for (int round = 0; round < 60; ++round) {
    auto channel = builder.connect();
    base::Cancel gone;
    RunOptions options;
    options.machine_gone = gone;
    std::thread release([&] {
      for (int i = 0; i < round * 20; ++i) std::this_thread::yield();
      gone.trigger();
      channel->stop();
    });
    auto result = run(channel, nothing(), options);
    release.join();
    EXPECT_EQ(result.status().code(), Code::kCancelled) << result.status().message();
  }
}

// Without a connection nothing was asked, and all of it may be tried again.
TEST(Run, SaysThatNothingWasAsked) {
  buildkit::Endpoint endpoint;
  endpoint.address = "unix:///nowhere/at/all";
  auto channel = buildkit::Channel::open(endpoint);
  ASSERT_TRUE(channel.ok());
  Came came;
  came.begun = true;
  auto result = run(*channel, nothing(), {}, &came);
  EXPECT_EQ(result.status().code(), Code::kUnavailable);
  EXPECT_FALSE(came.begun);
  (*channel)->stop();

  // One that is silent never gets that far.
  SilentBuilder silent;
  auto waiting = silent.connect();
  RunOptions options;
  options.connect_within = std::chrono::milliseconds(50);
  came.begun = true;
  result = run(waiting, nothing(), options, &came);
  EXPECT_EQ(result.status().code(), Code::kUnavailable);
  EXPECT_FALSE(came.begun);
  options.connect_within = std::chrono::milliseconds(0);
  options.timeout = std::chrono::milliseconds(50);
  result = run(waiting, nothing(), options, &came);
  EXPECT_EQ(result.status().code(), Code::kDeadlineExceeded);
  EXPECT_THAT(result.status().message(),
              testing::HasSubstr("no connection to the builder at tcp://"));
  EXPECT_FALSE(came.begun);
  waiting->stop();
}

TEST(Run, EndsByItsDeadlineHoweverFarThatIs) {
  SilentBuilder builder;
  auto channel = builder.connect();
  base::Cancel cancel;
  RunOptions options;
  options.cancel = cancel;
  options.timeout = std::chrono::milliseconds::max();  // "no limit", as some would write it
  std::thread later([&] { cancel.trigger(); });
  EXPECT_EQ(run(channel, nothing(), options).status().code(), Code::kCancelled);
  later.join();
  options.cancel = base::Cancel::never();
  options.timeout = std::chrono::milliseconds(1);
  EXPECT_EQ(run(channel, nothing(), options).status().code(), Code::kDeadlineExceeded);
  channel->stop();
}

}  // namespace
}  // namespace depot::solve

// The channel without a daemon behind it: what never answers, and what ends while it is waited for.
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <future>
#include <thread>

#include "buildkit/channel.h"
#include "buildkit/control.h"
#include "silent_server.h"

namespace depot::buildkit {
namespace {

using namespace std::chrono_literals;
using base::Code;

std::shared_ptr<Channel> open(const std::string& address) {
  Endpoint endpoint;
  endpoint.address = address;
  auto channel = Channel::open(endpoint);
  EXPECT_TRUE(channel.ok());
  return *channel;
}

TEST(WaitReady, NamesTheAddressWhenNothingListens) {
  SilentServer server;
  std::string address = server.address();
  server.close();
  auto channel = open(address);
  // Long enough for one attempt of the slowest build, and not a whole number of seconds.
  auto workers = wait_ready(*channel, 2500ms, base::Cancel::never());
  ASSERT_FALSE(workers.ok());
  EXPECT_EQ(workers.status().code(), Code::kDeadlineExceeded);
  EXPECT_NE(workers.status().message().find("2500 ms"), std::string::npos);
  EXPECT_NE(workers.status().message().find(address), std::string::npos);
  EXPECT_NE(workers.status().message().find("Connection refused"), std::string::npos)
      << workers.status().message();
}

TEST(WaitReady, EndsByItsDeadlineWhenThePeerIsSilent) {
  SilentServer server;
  auto channel = open(server.address());
  auto workers = wait_ready(*channel, 200ms, base::Cancel::never());
  ASSERT_FALSE(workers.ok());
  EXPECT_EQ(workers.status().code(), Code::kDeadlineExceeded);
}

// What gRPC makes of them is a connection that cannot be made, whatever stands at the other end.
TEST(WaitReady, NamesAnIdentityThatIsNoneAtOnce) {
  SilentServer server;
  for (const TlsIdentity& identity :
       {TlsIdentity{"not pem", "", base::Secret(), ""},
        TlsIdentity{"", "no certificate", base::Secret("no key"), ""}}) {
    Endpoint endpoint;
    endpoint.address = server.address();
    endpoint.tls = identity;
    auto channel = Channel::open(endpoint);
    ASSERT_TRUE(channel.ok());
    auto workers = wait_ready(**channel, 60s, base::Cancel::never());
    ASSERT_FALSE(workers.ok());
    EXPECT_EQ(workers.status().code(), Code::kInvalidArgument) << workers.status().message();
    EXPECT_NE(workers.status().message().find("not PEM"), std::string::npos)
        << workers.status().message();
  }
}

TEST(WaitReady, EndsWhenCancelled) {
  SilentServer server;
  auto channel = open(server.address());
  base::Cancel cancel;
  std::thread other([&] { cancel.trigger(); });
  auto workers = wait_ready(*channel, 60s, cancel);
  other.join();
  ASSERT_FALSE(workers.ok());
  EXPECT_EQ(workers.status().code(), Code::kCancelled);
}

TEST(Channel, StopEndsCallsAndIsIdempotent) {
  SilentServer server;
  auto channel = open(server.address());
  std::promise<base::Status> ended;
  channel->loop().post([&] {
    CallOptions options;
    options.method = "/moby.buildkit.v1.Control/Session";
    CallObserver observer;
    observer.on_done = [&](base::Status status) { ended.set_value(std::move(status)); };
    auto call = channel->start(std::move(options), std::move(observer));
    EXPECT_NE(call, nullptr);
  });
  std::thread other([&] { channel->stop(); });
  channel->stop();
  other.join();
  EXPECT_FALSE(ended.get_future().get().ok());
  channel->loop().post([] { FAIL() << "a stopped loop ran a task"; });
}

TEST(Channel, IsRefusedInAForkedChild) {
  SilentServer server;
  Endpoint endpoint;
  endpoint.address = server.address();
  ChannelPool pool;
  auto channel = pool.open(endpoint);
  ASSERT_TRUE(channel.ok());
  pid_t child = ::fork();
  ASSERT_GE(child, 0);
  if (child == 0) {
    auto refused = [](const base::Result<std::shared_ptr<Channel>>& opened) {
      return !opened.ok() && opened.status().code() == Code::kFailedPrecondition &&
             opened.status().message().find("fork") != std::string::npos;
    };
    ::_exit((refused(pool.open(endpoint)) ? 0 : 1) | (refused(Channel::open(endpoint)) ? 0 : 2) |
            (refused(ChannelPool().open(endpoint)) ? 0 : 4));
  }
  int status = 0;
  ASSERT_EQ(::waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFEXITED(status)) << "signal " << WTERMSIG(status);
  EXPECT_EQ(WEXITSTATUS(status), 0);
  (*channel)->stop();
}

TEST(Channel, OpensAndStopsManyTimes) {
  // The thread's start once raced with the constructor's end.
  for (int i = 0; i < 300; ++i) {
    auto channel = open("unix:///nowhere");
    if (i % 2 == 0) channel->stop();
  }
}

TEST(Channel, RunsTimersInOrderAndForgetsCancelledOnes) {
  SilentServer server;
  auto channel = open(server.address());
  std::vector<int> order;
  std::promise<void> done;
  channel->loop().post([&] {
    auto& loop = channel->loop();
    EXPECT_TRUE(loop.on_loop_thread());
    loop.run_after(20ms, [&] { order.push_back(2); });
    auto cancelled = loop.run_after(5ms, [&] { order.push_back(99); });
    loop.run_after(1ms, [&] { order.push_back(1); });
    loop.cancel_timer(cancelled);
    loop.cancel_timer(12345);
    loop.run_after(30ms, [&] { done.set_value(); });
  });
  done.get_future().wait();
  channel->stop();
  EXPECT_EQ(order, (std::vector<int>{1, 2}));
}

}  // namespace
}  // namespace depot::buildkit

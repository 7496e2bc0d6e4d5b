// Which channels share a connection, and that none of them feels the end of another.
#include <gtest/gtest.h>

#include <future>
#include <set>
#include <thread>

#include "buildkit/channel.h"
#include "buildkit/connection.h"
#include "silent_server.h"

namespace depot::buildkit {
namespace {

using namespace std::chrono_literals;

// Calls wait there until they are ended.
Endpoint nowhere(const std::string& key = "") {
  static SilentServer server;
  Endpoint endpoint;
  endpoint.address = server.address();
  if (!key.empty()) endpoint.tls = TlsIdentity{"ca", "certificate", base::Secret(key), "name"};
  return endpoint;
}

std::shared_ptr<Channel> open(ChannelPool& pool, const Endpoint& endpoint) {
  auto channel = pool.open(endpoint);
  EXPECT_TRUE(channel.ok());
  return *channel;
}

std::future<base::Status> call(Channel& channel) {
  auto ended = std::make_shared<std::promise<base::Status>>();
  auto future = ended->get_future();
  std::promise<void> started;
  channel.loop().post([&] {
    CallOptions options;
    options.method = "/moby.buildkit.v1.Control/Session";
    CallObserver observer;
    observer.on_done = [ended](base::Status status) { ended->set_value(std::move(status)); };
    channel.start(std::move(options), std::move(observer));
    started.set_value();
  });
  started.get_future().wait();
  return future;
}

TEST(ChannelPool, SharesUpToEight) {
  ChannelPool pool;
  std::vector<std::shared_ptr<Channel>> channels;
  std::set<base::Loop*> loops;
  for (int i = 0; i < 17; ++i) {
    channels.push_back(open(pool, nowhere()));
    loops.insert(&channels.back()->loop());
  }
  EXPECT_EQ(loops.size(), 3u);
  for (auto& channel : channels) channel->stop();
}

TEST(ChannelPool, SharesNothingBetweenIdentities) {
  ChannelPool pool;
  Endpoint compressed = nowhere("key");
  compressed.gzip = true;
  std::vector<std::shared_ptr<Channel>> channels = {
      open(pool, nowhere()), open(pool, nowhere("key")), open(pool, nowhere("kez")),
      open(pool, compressed)};
  std::set<base::Loop*> loops;
  for (auto& channel : channels) loops.insert(&channel->loop());
  EXPECT_EQ(loops.size(), 4u);
  EXPECT_EQ(&open(pool, nowhere("key"))->loop(), &channels[1]->loop());
  for (auto& channel : channels) channel->stop();
}

// It may be dead, which nobody would be told for minutes.
TEST(Connection, IsNotJoinedAfterSilence) {
  auto opened = Connection::open(nowhere(), {});
  ASSERT_TRUE(opened.ok());
  auto& connection = **opened;
  EXPECT_FALSE(connection.join(-1ms));  // whatever the clock says
  EXPECT_TRUE(connection.join(1h));
  connection.leave(nullptr);
  connection.leave(nullptr);
  EXPECT_FALSE(connection.join(1h)) << "closed with the last";
  connection.loop().post([] { FAIL() << "a stopped loop ran a task"; });
}

TEST(Connection, IdlesForAWhile) {
  auto opened = Connection::open(nowhere(), {});
  ASSERT_TRUE(opened.ok());
  auto& connection = **opened;
  IdleConnections idle(1ms);
  connection.leave(&idle);
  while (!connection.closed()) std::this_thread::yield();
  EXPECT_FALSE(connection.join(1h));
}

TEST(Connection, IsOpenAsLongAsItIsUsed) {
  auto opened = Connection::open(nowhere(), {});
  ASSERT_TRUE(opened.ok());
  auto& connection = **opened;
  {
    IdleConnections idle(1h);
    connection.leave(&idle);
    EXPECT_TRUE(connection.join(1h)) << "it idled";
  }
  EXPECT_FALSE(connection.closed()) << "it was in use when the others were closed";
  IdleConnections idle(1h);
  connection.leave(&idle);
  EXPECT_FALSE(connection.closed());
  connection.close_if_idle();
  EXPECT_TRUE(connection.closed());
}

TEST(ChannelPool, StoppingOneEndsItsOwnCalls) {
  ChannelPool pool;
  auto first = open(pool, nowhere());
  auto second = open(pool, nowhere());
  auto mine = call(*first);
  auto other = call(*second);
  first->stop();
  ASSERT_EQ(mine.wait_for(0s), std::future_status::ready) << "stop() waits for on_done";
  EXPECT_EQ(mine.get().code(), base::Code::kCancelled);
  EXPECT_EQ(other.wait_for(0s), std::future_status::timeout);
  // The thread lives for the other one; what is asked of the stopped one is refused.
  EXPECT_EQ(call(*first).get().code(), base::Code::kCancelled);
  second->stop();
  EXPECT_EQ(other.get().code(), base::Code::kCancelled);
}

TEST(ChannelPool, KeepsTheLastForTheNext) {
  ChannelPool pool;
  auto first = open(pool, nowhere());
  base::Loop* loop = &first->loop();
  first->stop();
  auto second = open(pool, nowhere());
  EXPECT_EQ(&second->loop(), loop);
  std::promise<void> runs;
  second->loop().post([&] { runs.set_value(); });
  runs.get_future().wait();
  second->stop();
}

TEST(ChannelPool, MayGoBeforeItsChannels) {
  auto pool = std::make_unique<ChannelPool>();
  auto idle = open(*pool, nowhere("key"));
  auto used = open(*pool, nowhere());
  idle->stop();
  pool = nullptr;
  auto ended = call(*used);
  used->stop();
  EXPECT_EQ(ended.get().code(), base::Code::kCancelled);
}

TEST(ChannelPool, ManyThreadsOpenAndStop) {
  ChannelPool pool;
  std::vector<std::future<void>> threads;
  for (int i = 0; i < 8; ++i) {
    threads.push_back(std::async(std::launch::async, [&] {
      for (int round = 0; round < 50; ++round) {
        auto channel = open(pool, nowhere());
        auto ended = call(*channel);
        channel->stop();
        EXPECT_EQ(ended.get().code(), base::Code::kCancelled);
      }
    }));
  }
  for (auto& thread : threads) thread.get();
}

}  // namespace
}  // namespace depot::buildkit

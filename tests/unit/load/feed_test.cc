// The feed, and the pump that empties it into a socket.
#include "load/feed.h"

#include <gmock/gmock.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <thread>

#include "load/import.h"

namespace depot::load {
namespace {

using base::Code;
using base::UniqueFd;

std::span<const uint8_t> bytes(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

bool readable(int fd) {
  pollfd one{fd, POLLIN, 0};
  return ::poll(&one, 1, 0) == 1;
}

TEST(Feed, HoldsTheWriterBackUntilThereIsRoom) {
  Feed feed;
  int rooms = 0;
  feed.on_room([&] { ++rooms; });
  const std::string mebibyte(1 << 20, 'x');
  EXPECT_TRUE(feed.write(bytes(mebibyte)));
  EXPECT_TRUE(feed.write(bytes(mebibyte)));
  EXPECT_TRUE(feed.write(bytes(mebibyte)));
  EXPECT_FALSE(feed.write(bytes(mebibyte)));
  std::string chunk;
  EXPECT_TRUE(feed.take(chunk));
  EXPECT_TRUE(feed.take(chunk));
  EXPECT_EQ(rooms, 0);
  EXPECT_TRUE(feed.take(chunk));
  EXPECT_EQ(rooms, 1);
  feed.close();
  EXPECT_FALSE(feed.closed());
  EXPECT_TRUE(feed.take(chunk));
  EXPECT_FALSE(feed.take(chunk));
  EXPECT_TRUE(feed.closed());
}

TEST(Feed, TellsOfEverythingByItsEvent) {
  Feed feed;
  EXPECT_FALSE(readable(feed.event()));
  feed.write(bytes("x"));
  EXPECT_TRUE(readable(feed.event()));
  feed.clear_event();
  EXPECT_FALSE(readable(feed.event()));
  feed.close();
  EXPECT_TRUE(readable(feed.event()));
  feed.clear_event();
  feed.stop();
  EXPECT_TRUE(readable(feed.event()));
  EXPECT_TRUE(feed.stopped());
  std::string chunk;
  EXPECT_FALSE(feed.take(chunk)) << "what was stopped has nothing left";
  EXPECT_TRUE(feed.write(bytes("x"))) << "nor does it hold anybody back";
  EXPECT_FALSE(feed.take(chunk));
}

class PumpTest : public testing::Test {
 protected:
  void SetUp() override {
    int pair[2];
    ASSERT_EQ(::socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
    ours_.reset(pair[0]);
    theirs_.reset(pair[1]);
  }
  // What arrives while `pump` has something and until it is done.
  std::string run(Pump& pump) {
    std::string got;
    char buffer[64 << 10];
    for (bool more = true; more;) {
      EXPECT_TRUE(pump.run().ok());
      more = !pump.done();
      for (ssize_t n = 1; n > 0;) {
        n = ::recv(theirs_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
        if (n > 0) got.append(buffer, static_cast<size_t>(n));
      }
    }
    return got;
  }

  Feed feed_;
  UniqueFd ours_, theirs_;
};

TEST_F(PumpTest, FramesWhatItSends) {
  Pump pump(ours_.get(), feed_, true);
  pump.prepend("POST / HTTP/1.1\r\n\r\n");
  feed_.write(bytes("hello"));
  feed_.write(bytes(std::string(26, 'x')));
  feed_.close();
  EXPECT_EQ(run(pump),
            "POST / HTTP/1.1\r\n\r\n5\r\nhello\r\n1a\r\n" + std::string(26, 'x') + "\r\n0\r\n\r\n");
}

TEST_F(PumpTest, SendsWhatDoesNotFitAtOnce) {
  Pump pump(ours_.get(), feed_, false);
  std::string all;
  for (int i = 0; i < 40; ++i) {
    std::string piece(100 << 10, static_cast<char>('a' + i % 26));
    feed_.write(bytes(piece));
    all += piece;
  }
  ASSERT_TRUE(pump.run().ok());
  EXPECT_TRUE(pump.waits_for_room());
  feed_.close();
  EXPECT_EQ(run(pump), all);
  EXPECT_FALSE(pump.waits_for_room());
}

TEST_F(PumpTest, NoticesThatNobodyReads) {
  theirs_.reset();
  Pump pump(ours_.get(), feed_, false);
  EXPECT_TRUE(pump.run().ok()) << "there is nothing to send yet";
  feed_.write(bytes("x"));
  EXPECT_EQ(pump.run().code(), Code::kUnavailable);
}

}  // namespace
}  // namespace depot::load

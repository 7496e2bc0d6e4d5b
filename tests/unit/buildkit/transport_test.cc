// Calls of every kind, with a server of gRPC's own library at the other end.
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <filesystem>
#include <future>
#include <thread>

#include "buildkit/channel.h"
#include "grpc_server.h"
#include "silent_server.h"

namespace depot::buildkit {
namespace {

using namespace std::chrono_literals;
using base::Code;
using base::Status;

std::span<const uint8_t> bytes_of(const std::string& text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

class Transport : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/depot-transport-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    dir_ = name;
    serve();
  }
  void TearDown() override {
    if (channel_) channel_->stop();
    server_ = nullptr;
    std::filesystem::remove_all(dir_);
  }
  void serve(bool gzip = false) {
    server_ = nullptr;
    server_ = std::make_unique<GrpcServer>(dir_ + "/socket", gzip);
  }
  Channel& channel(bool gzip = false) {
    if (channel_) return *channel_;
    Endpoint endpoint;
    endpoint.address = server_->address();
    endpoint.gzip = gzip;
    endpoint.max_message = 2 << 20;
    auto opened = Channel::open(endpoint);
    EXPECT_TRUE(opened.ok());
    channel_ = *opened;
    return *channel_;
  }

  base::Result<std::string> unary(std::string_view method, std::string request = "",
                                  std::optional<std::chrono::milliseconds> timeout = {}) {
    std::promise<base::Result<std::string>> answer;
    channel().loop().post([&] {
      CallOptions options;
      options.method = method;
      options.request = std::move(request);
      options.timeout = timeout;
      options.metadata = {{"x-test", "some value"}, {"x-long", std::string(20000, 'l')}};
      channel().unary(std::move(options), [&](base::Result<std::string> result) {
        answer.set_value(std::move(result));
      });
    });
    return answer.get_future().get();
  }

  std::string dir_;
  std::unique_ptr<GrpcServer> server_;
  std::shared_ptr<Channel> channel_;
};

// One call, told from the test's thread.
struct Stream : std::enable_shared_from_this<Stream> {
  std::shared_ptr<Call> call;
  std::vector<std::string> to_send;
  size_t sent = 0;
  bool ends = true;
  std::vector<std::string> received;
  size_t hold_after = SIZE_MAX;
  std::promise<void> held;
  std::promise<Status> done;

  void start(Channel& channel, std::string_view method) {
    channel.loop().post([self = shared_from_this(), &channel, method = std::string(method)] {
      CallOptions options;
      options.method = method;
      CallObserver observer;
      observer.on_message = [self](const Message& message) {
        self->received.push_back(message.flatten());
        if (self->received.size() != self->hold_after) return true;
        self->held.set_value();
        return false;
      };
      observer.on_writable = [self] { self->write(); };
      observer.on_done = [self](Status status) { self->done.set_value(std::move(status)); };
      self->call = channel.start(std::move(options), std::move(observer));
    });
  }
  void write() {
    while (sent < to_send.size()) {
      // A head that is copied, a piece that is lent, one that is good for now only.
      const std::string& text = to_send[sent];
      size_t third = text.size() / 3;
      auto owned = std::make_shared<std::string>(text.substr(third, third));
      std::string fleeting = text.substr(2 * third);
      if (!call->write(bytes_of(text).first(third),
                       {{bytes_of(*owned), owned}, {bytes_of(fleeting), {}}}))
        return;
      ++sent;
    }
    if (ends) call->half_close();
  }
  Status wait() { return done.get_future().get(); }
};

TEST_F(Transport, OneMessageEachWay) {
  EXPECT_EQ(*unary("/echo", "hello"), "hello");
  EXPECT_EQ(*unary("/echo", ""), "");
  std::string large(1 << 20, 'x');
  EXPECT_EQ(*unary("/echo", large), large);
}

TEST_F(Transport, MetadataArrives) {
  auto text = unary("/headers");
  ASSERT_TRUE(text.ok()) << text.status().message();
  EXPECT_NE(text->find("x-test: some value\n"), std::string::npos);
  EXPECT_NE(text->find("x-long: " + std::string(20000, 'l') + "\n"), std::string::npos);
  EXPECT_NE(text->find("user-agent: libdepot"), std::string::npos) << *text;
}

TEST_F(Transport, ErrorsComeWholeHoweverLong) {
  auto failed = unary("/fail");
  ASSERT_FALSE(failed.ok());
  EXPECT_EQ(failed.status().code(), Code::kAborted);
  EXPECT_EQ(failed.status().message(), "100 % \xc3\xa4h\n");
  EXPECT_EQ(*unary("/echo", "still here"), "still here");
}

TEST_F(Transport, ManyMessagesEachWayInOrder) {
  auto stream = std::make_shared<Stream>();
  for (size_t i = 0; i < 300; ++i)
    stream->to_send.push_back(std::string(i * 97, static_cast<char>('a' + i % 26)));
  stream->start(channel(), "/echo");
  EXPECT_TRUE(stream->wait().ok());
  EXPECT_EQ(stream->received, stream->to_send);
}

TEST_F(Transport, ManyCallsAtOnceShareTheConnection) {
  std::vector<std::shared_ptr<Stream>> streams;
  for (size_t i = 0; i < 50; ++i) {
    auto stream = std::make_shared<Stream>();
    stream->to_send.assign(40, std::string(3000 + i, 'x'));
    stream->start(channel(), "/count");
    streams.push_back(stream);
  }
  for (size_t i = 0; i < streams.size(); ++i) {
    Status status = streams[i]->wait();
    EXPECT_TRUE(status.ok()) << status.message();
    EXPECT_EQ(streams[i]->sent, 40u);
    EXPECT_EQ(streams[i]->received,
              std::vector<std::string>{"40 " + std::to_string(40 * (3000 + i))});
  }
}

TEST_F(Transport, WhoHoldsAStreamHoldsThePeerAndNobodyElse) {
  auto slow = std::make_shared<Stream>();
  slow->hold_after = 3;
  slow->start(channel(), "/flood/600");
  slow->held.get_future().wait();
  // As much as the slow one has to come is taken beside it.
  auto quick = std::make_shared<Stream>();
  quick->start(channel(), "/flood/600");
  EXPECT_TRUE(quick->wait().ok());
  EXPECT_EQ(quick->received.size(), 600u);
  auto done = slow->done.get_future();
  EXPECT_EQ(done.wait_for(0s), std::future_status::timeout);
  channel().loop().post([&] { slow->call->resume_reading(); });
  EXPECT_TRUE(done.get().ok());
  ASSERT_EQ(slow->received.size(), 600u);
  for (size_t i = 0; i < 600; ++i)
    ASSERT_EQ(slow->received[i], std::string(64 << 10, static_cast<char>('a' + (599 - i) % 26)));
}

TEST_F(Transport, AMessageAboveTheLimitEndsItsCallAlone) {
  EXPECT_EQ(unary("/echo", std::string(3 << 20, 'x')).status().code(), Code::kResourceExhausted);
  EXPECT_EQ(*unary("/echo", "fine"), "fine");
}

TEST_F(Transport, TheDeadlineEndsACallHere) {
  auto late = unary("/sleep", "", 100ms);
  EXPECT_EQ(late.status().code(), Code::kDeadlineExceeded);
}

TEST_F(Transport, ACancelEndsACallOnBothSides) {
  auto stream = std::make_shared<Stream>();
  stream->ends = false;
  stream->start(channel(), "/sleep");
  EXPECT_EQ(*unary("/echo", "there"), "there");  // so is the other one
  channel().loop().post([&] {
    stream->call->cancel();
    stream->call->cancel();
    EXPECT_FALSE(stream->call->write({}, {}));
  });
  EXPECT_EQ(stream->wait().code(), Code::kCancelled);
  while (server_->cancelled() == 0) std::this_thread::yield();
}

TEST_F(Transport, AHeldCallCanBeCancelled) {
  auto stream = std::make_shared<Stream>();
  stream->hold_after = 1;
  stream->start(channel(), "/flood/1000000");
  stream->held.get_future().wait();
  channel().loop().post([&] { stream->call->cancel(); });
  EXPECT_EQ(stream->wait().code(), Code::kCancelled);
}

TEST_F(Transport, AServerThatEndsIsLeftAndTheNextOneFound) {
  auto stream = std::make_shared<Stream>();
  stream->ends = false;
  stream->start(channel(), "/echo");
  EXPECT_EQ(*unary("/echo", "one"), "one");
  serve();  // ends the first
  Status status = stream->wait();
  EXPECT_FALSE(status.ok());
  base::Result<std::string> again = unary("/echo", "two");
  while (!again.ok()) {
    ASSERT_EQ(again.status().code(), Code::kUnavailable) << again.status().message();
    again = unary("/echo", "two");
  }
  EXPECT_EQ(*again, "two");
}

TEST_F(Transport, CallsThatRunGoOnAfterGoaway) {
  // Keeps the server from closing: gRPC's client loses an end that came when it can send no more.
  auto sleep = std::make_shared<Stream>();
  sleep->start(channel(), "/sleep");
  auto stream = std::make_shared<Stream>();
  stream->ends = false;
  stream->to_send = {"first"};
  stream->hold_after = 1;
  stream->start(channel(), "/echo");
  // It runs when the server has answered it: one that no handler has yet is refused.
  stream->held.get_future().wait();
  server_->shut_down();
  // Until new calls are refused, which is when it was heard of.
  while (unary("/echo", "y", 1000ms).ok()) std::this_thread::yield();
  channel().loop().post([stream] {
    stream->to_send.push_back("second");
    stream->ends = true;
    stream->call->resume_reading();
    stream->write();
  });
  Status status = stream->wait();
  EXPECT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(stream->received, (std::vector<std::string>{"first", "second"}));
}

TEST_F(Transport, Gzip) {
  serve(true);
  std::string text;
  while (text.size() < 1000000) text += "all work and no play ";
  channel(true);
  EXPECT_EQ(*unary("/echo", text), text);
  auto stream = std::make_shared<Stream>();
  stream->to_send.assign(20, text.substr(0, 30000));
  stream->start(channel(), "/echo");
  EXPECT_TRUE(stream->wait().ok());
  EXPECT_EQ(stream->received, stream->to_send);
  EXPECT_EQ(unary("/echo", std::string(3 << 20, 'x')).status().code(), Code::kResourceExhausted)
      << "small as it comes, but not unpacked";
}

TEST_F(Transport, StopEndsWhatRuns) {
  std::vector<std::shared_ptr<Stream>> streams;
  for (int i = 0; i < 20; ++i) {
    auto stream = std::make_shared<Stream>();
    stream->start(channel(), i % 2 == 0 ? "/flood/100000" : "/sleep");
    streams.push_back(stream);
  }
  EXPECT_EQ(*unary("/echo", "x"), "x");
  channel().stop();
  for (auto& stream : streams)
    EXPECT_EQ(stream->done.get_future().wait_for(0s), std::future_status::ready);
}

}  // namespace
}  // namespace depot::buildkit

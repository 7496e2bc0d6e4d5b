// What a connection does at the moments that a well-behaved server does not show.
#include <arpa/inet.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <future>

#include "base/fd.h"
#include "buildkit/channel.h"

namespace depot::buildkit {
namespace {

using base::Status;

constexpr uint8_t kData = 0, kHeaders = 1, kSettings = 4;
constexpr uint8_t kEndStream = 1, kEndHeaders = 4;

// One connection over which frames are sent as a test has them.
class Peer {
 public:
  Peer() {
    char name[] = "/tmp/depot-link-XXXXXX";
    EXPECT_NE(::mkdtemp(name), nullptr);
    dir_ = name;
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path().copy(address.sun_path, sizeof(address.sun_path) - 1);
    listener_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    EXPECT_EQ(::listen(listener_.get(), 1), 0);
  }
  ~Peer() { std::filesystem::remove_all(dir_); }
  // Over TCP instead, which wakes for so many bytes as it is told.
  void listen_on_loopback() {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof(address);
    listener_.reset(::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0));
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(listener_.get(), 1), 0);
    ::getsockname(listener_.get(), reinterpret_cast<sockaddr*>(&address), &size);
    port_ = ntohs(address.sin_port);
  }

  std::string path() const { return dir_ + "/socket"; }
  std::string address() const {
    return port_ == 0 ? "unix://" + path() : "tcp://127.0.0.1:" + std::to_string(port_);
  }
  void accept() { fd_.reset(::accept(listener_.get(), nullptr, nullptr)); }
  void send(uint8_t type, uint8_t flags, uint8_t stream, const std::string& payload) {
    auto size = static_cast<uint32_t>(payload.size());
    std::string frame{static_cast<char>(size >> 16), static_cast<char>(size >> 8),
                      static_cast<char>(size), static_cast<char>(type), static_cast<char>(flags)};
    frame += std::string{0, 0, 0, static_cast<char>(stream)} + payload;
    EXPECT_EQ(::send(fd_.get(), frame.data(), frame.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(frame.size()));
  }
  // Until a frame of that type came; the client's preface is 24 bytes.
  void await(uint8_t type) {
    for (;;) {
      char part[4096];
      ssize_t n = ::recv(fd_.get(), part, sizeof(part), 0);
      ASSERT_GT(n, 0);
      received_.append(part, static_cast<size_t>(n));
      for (size_t at = 24; at + 9 <= received_.size();) {
        auto byte = [&](size_t i) { return static_cast<uint8_t>(received_[at + i]); };
        if (byte(3) == type) return;
        at += 9 + (size_t{byte(0)} << 16) + (size_t{byte(1)} << 8) + byte(2);
      }
    }
  }
  void close() { fd_.reset(); }

 private:
  std::string dir_;
  base::UniqueFd listener_, fd_;
  uint16_t port_ = 0;
  std::string received_;
};

using namespace std::string_literals;
const std::string kAnswerHeaders =
    "\x88\x00\x0c"s
    "content-type"
    "\x10"s
    "application/grpc";
const std::string kOkTrailers =
    "\x00\x0b"s
    "grpc-status"
    "\x01"s
    "0";

std::string message(const std::string& text) {
  auto size = static_cast<uint32_t>(text.size());
  return std::string{0, 0, static_cast<char>(size >> 16), static_cast<char>(size >> 8),
                     static_cast<char>(size)} +
         text;
}

// A call, and what came of it.
struct Asked {
  std::shared_ptr<Call> call;
  std::vector<std::string> received;
  bool holds = false;  // after each message
  std::function<void()> on_received;
  std::promise<Status> done;

  void start(Channel& channel, std::string_view method) {
    CallOptions options;
    options.method = method;
    CallObserver observer;
    observer.on_message = [this](const Message& message) {
      received.push_back(message.flatten());
      if (on_received) on_received();
      return !holds;
    };
    observer.on_done = [this](Status status) { done.set_value(std::move(status)); };
    call = channel.start(std::move(options), std::move(observer));
  }
  Status end() { return done.get_future().get(); }
};

class Link : public testing::Test {
 protected:
  void SetUp() override {
    Endpoint endpoint;
    endpoint.address = peer_.address();
    auto opened = Channel::open(endpoint);
    ASSERT_TRUE(opened.ok());
    channel_ = *opened;
  }
  void TearDown() override { channel_->stop(); }

  // With as many calls as are given; the first is stream 1, the next 3.
  void connect(const std::vector<Asked*>& calls) {
    channel_->loop().post([&] {
      for (Asked* call : calls) call->start(*channel_, "/some/call");
    });
    peer_.accept();
    peer_.send(kSettings, 0, 0, "");
    peer_.await(kHeaders);
  }

  // Answers the first call to its end, and closes.
  void answer(const std::string& messages) {
    peer_.send(kHeaders, kEndHeaders, 1, kAnswerHeaders);
    peer_.send(kData, 0, 1, messages);
    peer_.send(kHeaders, kEndHeaders | kEndStream, 1, kOkTrailers);
    peer_.close();
  }

  Peer peer_;
  std::shared_ptr<Channel> channel_;
};

TEST_F(Link, AnEndThatCameBeforeTheOtherSideClosedIsNotLost) {
  Asked asked;
  connect({&asked});
  // The loop is kept busy while the end comes and the connection goes; then it sends first.
  std::promise<void> busy, closed;
  channel_->loop().post([&] {
    busy.set_value();
    closed.get_future().wait();
    const std::string text = "too late";
    EXPECT_TRUE(
        asked.call->write({reinterpret_cast<const uint8_t*>(text.data()), text.size()}, {}));
  });
  busy.get_future().wait();
  answer(message("answer"));
  closed.set_value();

  Status status = asked.end();
  EXPECT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(asked.received, std::vector<std::string>{"answer"});
}

TEST_F(Link, AHeldCallThatCameToItsEndOutlivesTheConnection) {
  Asked held, other;
  held.holds = true;
  connect({&held, &other});
  answer(message("one") + message("two"));
  EXPECT_EQ(other.end().code(), base::Code::kUnavailable);

  channel_->loop().post([&] {
    held.holds = false;
    held.call->resume_reading();
  });
  Status status = held.end();
  EXPECT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(held.received, (std::vector<std::string>{"one", "two"}));
}

TEST_F(Link, AHeldCallEndsWithItsChannel) {
  Asked held, other;
  held.holds = true;
  connect({&held, &other});
  answer(message("one") + message("two"));
  EXPECT_EQ(other.end().code(), base::Code::kUnavailable);
  channel_->stop();
  EXPECT_EQ(held.end().code(), base::Code::kCancelled);
}

class TcpLink : public Link {
 protected:
  void SetUp() override {
    peer_.listen_on_loopback();
    Link::SetUp();
  }
};

// While much comes the loop is not woken for less; what comes last is less.
TEST_F(TcpLink, TheRestOfMuchIsNotWaitedForInVain) {
  Asked asked;
  std::promise<void> busy, sent, two;
  asked.on_received = [&] {
    if (asked.received.size() == 2) two.set_value();
  };
  connect({&asked});
  channel_->loop().post([&] {
    busy.set_value();
    sent.get_future().wait();  // so that the first is there at once
  });
  busy.get_future().wait();
  peer_.send(kHeaders, kEndHeaders, 1, kAnswerHeaders);
  const std::string much(60000, 'm');
  std::string framed = message(much);
  for (size_t at = 0; at < framed.size(); at += 16384)
    peer_.send(kData, 0, 1, framed.substr(at, 16384));
  sent.set_value();
  // By the window that is given back for it; nothing else is on its way then.
  peer_.await(8);
  peer_.send(kData, 0, 1, message("little"));
  two.get_future().wait();
  peer_.send(kHeaders, kEndHeaders | kEndStream, 1, kOkTrailers);
  Status status = asked.end();
  EXPECT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(asked.received, (std::vector<std::string>{much, "little"}));
}

}  // namespace
}  // namespace depot::buildkit

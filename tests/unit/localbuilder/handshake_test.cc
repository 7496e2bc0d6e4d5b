#include "localbuilder/handshake.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <thread>

#include "base/fd.h"
#include "temp_dir.h"

namespace depot::localbuilder {
namespace {

using base::Cancel;
using base::Code;

class HandshakeTest : public TempDirTest {
 protected:
  void SetUp() override {
    TempDirTest::SetUp();
    socket_ = dir_ / "s";
  }
  base::UniqueFd listen() {
    base::UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, socket_.c_str());
    EXPECT_EQ(::bind(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(fd.get(), 1), 0);
    return fd;
  }
  // What say_hello makes of a server that answers `text` to whatever it is asked.
  base::Result<Hello> hello_of(const std::string& text) {
    base::UniqueFd listener = listen();
    std::thread server([&] {
      base::UniqueFd fd(::accept(listener.get(), nullptr, nullptr));
      char buffer[4096];
      (void)!::read(fd.get(), buffer, sizeof buffer);
      for (size_t sent = 0; sent < text.size();) {
        ssize_t n = ::send(fd.get(), text.data() + sent, text.size() - sent, MSG_NOSIGNAL);
        if (n <= 0) break;
        sent += static_cast<size_t>(n);
      }
    });
    auto hello = say_hello(socket_, Cancel::never(), soon());
    server.join();
    ::unlink(socket_.c_str());
    return hello;
  }
  std::string socket_;
};

TEST_F(HandshakeTest, GoesThereAndBack) {
  Hello hello{"1.2.3-rc4", 7, 5, 3};
  auto back = parse_hello(format_hello(hello));
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->version, "1.2.3-rc4");
  EXPECT_EQ(back->protocol, 7);
  EXPECT_EQ(back->oldest, 5);
  EXPECT_EQ(back->builds, 3);
  // A later version may say more.
  EXPECT_TRUE(parse_hello("libdepot-builderd 9 protocol 2 oldest 1 builds 0 mood good\n").ok());
  for (const char* bad : {"", "hello", "libdepot-builderd ", "libdepot-builderd 1 protocol x",
                          "libdepot-builderd 1 protocol 1 oldest 1"}) {
    EXPECT_EQ(parse_hello(bad).status().code(), Code::kFailedPrecondition) << bad;
  }
}

TEST_F(HandshakeTest, ReadsAServersAnswer) {
  auto hello = hello_of("HTTP/1.1 200 OK\r\n\r\n" + format_hello({"1", 1, 1, 0}));
  ASSERT_TRUE(hello.ok()) << hello.status().message();
  EXPECT_EQ(hello->version, "1");
}

TEST_F(HandshakeTest, StrangeServersAreErrors) {
  EXPECT_EQ(hello_of("").status().code(), Code::kUnavailable);
  EXPECT_EQ(hello_of("220 mail.example ESMTP\r\n").status().code(), Code::kUnavailable);
  EXPECT_EQ(hello_of("HTTP/1.1 200 OK\r\n\r\nwelcome").status().code(), Code::kFailedPrecondition);
  EXPECT_EQ(hello_of("HTTP/1.1 200 OK\r\n" + std::string(100'000, 'x')).status().code(),
            Code::kUnavailable);
}

TEST_F(HandshakeTest, NobodyThere) {
  EXPECT_EQ(say_hello(socket_, Cancel::never(), soon()).status().code(), Code::kNotFound);
  listen();  // and gone: the file of a daemon that was killed
  EXPECT_EQ(say_hello(socket_, Cancel::never(), soon()).status().code(), Code::kNotFound);
  EXPECT_EQ(say_hello(std::string(200, 'x'), Cancel::never(), soon()).status().code(),
            Code::kInvalidArgument);
}

TEST_F(HandshakeTest, ASilentServerDoesNotHoldUs) {
  base::UniqueFd listener = listen();
  auto now = std::chrono::steady_clock::now();
  EXPECT_EQ(say_hello(socket_, Cancel::never(), now).status().code(), Code::kDeadlineExceeded);
  Cancel cancel;
  base::UniqueFd first, second;  // open until the end: only silent, not gone
  std::thread other([&] {
    first.reset(::accept(listener.get(), nullptr, nullptr));
    second.reset(::accept(listener.get(), nullptr, nullptr));
    cancel.trigger();
  });
  EXPECT_EQ(say_hello(socket_, cancel, soon()).status().code(), Code::kCancelled);
  other.join();
}

}  // namespace
}  // namespace depot::localbuilder

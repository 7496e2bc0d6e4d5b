// How a socket is come by: which proxy is taken, what is asked of it, and what ends an attempt.
#include "buildkit/connector.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <map>
#include <optional>
#include <thread>

#include "buildkit/loop_thread.h"

namespace depot::buildkit {
namespace {

using base::Code;
using base::UniqueFd;
using testing::HasSubstr;

using Variables = std::map<std::string, std::string, std::less<>>;

Address tcp(const std::string& text) {
  auto address = parse_address(text);
  EXPECT_TRUE(address.ok());
  return *address;
}

Proxy chosen(const Variables& variables, const std::string& to = "tcp://builder.test:443") {
  return proxy_for(tcp(to), base::Environment(variables));
}

TEST(Proxy, IsTheOneOfTheEnvironment) {
  EXPECT_EQ(chosen({}).host, "");
  Proxy proxy =
      chosen({{"https_proxy", "http://proxy.test:3128/"}, {"http_proxy", "http://other"}});
  EXPECT_EQ(proxy.host, "proxy.test");
  EXPECT_EQ(proxy.port, "3128");
  EXPECT_EQ(proxy.authorization, "");
  EXPECT_EQ(chosen({{"HTTPS_PROXY", "proxy.test"}}).port, "80");
  EXPECT_EQ(chosen({{"http_proxy", "http://other"}}).host, "other");
  EXPECT_EQ(chosen({{"HTTP_PROXY", "http://other"}}).host, "") << "CGI's";
  EXPECT_EQ(chosen({{"grpc_proxy", "http://g"}, {"https_proxy", "http://h"}}).host, "g");
  proxy = chosen({{"https_proxy", "http://user:p%40ss@[::1]:8080"}});
  EXPECT_EQ(proxy.host, "::1");
  EXPECT_EQ(proxy.port, "8080");
  EXPECT_EQ(proxy.authorization, "Basic dXNlcjpwQHNz");
  EXPECT_EQ(chosen({{"https_proxy", "socks5://proxy.test"}}).host, "") << "as gRPC's clients";
}

TEST(Proxy, IsNoneForWhatIsNearOrExempt) {
  Variables variables = {{"https_proxy", "http://proxy.test"},
                         {"no_proxy", "a.test, .builder.test"}};
  EXPECT_EQ(chosen(variables).host, "");
  EXPECT_EQ(chosen(variables, "tcp://x.builder.test:1").host, "");
  EXPECT_EQ(chosen(variables, "tcp://other.test:1").host, "proxy.test");
  EXPECT_EQ(chosen(variables, "tcp://127.0.0.1:1").host, "");
  EXPECT_EQ(chosen(variables, "unix:///run/x").host, "");
  EXPECT_EQ(chosen({{"https_proxy", "http://p"}, {"NO_PROXY", "*"}}).host, "");
  EXPECT_EQ(chosen({{"https_proxy", "http://p"}, {"no_grpc_proxy", "builder.test"}}).host, "");
}

// Takes one connection, reads to the empty line, says something.
class FakeProxy {
 public:
  explicit FakeProxy(std::vector<std::string> says) : says_(std::move(says)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    EXPECT_EQ(::bind(fd_.get(), reinterpret_cast<sockaddr*>(&address), size), 0);
    EXPECT_EQ(::listen(fd_.get(), 8), 0);
    EXPECT_EQ(::getsockname(fd_.get(), reinterpret_cast<sockaddr*>(&address), &size), 0);
    port = std::to_string(ntohs(address.sin_port));
    thread_ = std::thread([this] { run(); });
  }
  ~FakeProxy() { thread_.join(); }
  std::string port, asked;

 private:
  void run() {
    UniqueFd peer(::accept4(fd_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    char buffer[4096];
    while (asked.find("\r\n\r\n") == std::string::npos) {
      ssize_t n = ::read(peer.get(), buffer, sizeof buffer);
      if (n <= 0) return;
      asked.append(buffer, static_cast<size_t>(n));
    }
    for (const auto& piece : says_)
      if (::send(peer.get(), piece.data(), piece.size(), MSG_NOSIGNAL) < 0) return;
    // To the end of the connection, unless nothing was said at all.
    if (!says_.empty())
      while (::read(peer.get(), buffer, sizeof buffer) > 0) {
      }
  }
  std::vector<std::string> says_;
  UniqueFd fd_{::socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  std::thread thread_;
};

base::Result<UniqueFd> connect(const std::string& to, const Proxy& proxy = {}) {
  base::EpollLoop loop;
  Connector connector(loop);
  std::optional<base::Result<UniqueFd>> result;
  loop.post([&] {
    connector.start(tcp(to), proxy, [&](base::Result<UniqueFd> fd) {
      result = std::move(fd);
      loop.stop();
    });
  });
  loop.run();
  return *std::move(result);
}

TEST(Connector, AsksTheProxyAndLeavesWhatFollows) {
  std::string asked, left;
  {
    FakeProxy proxy({"HTTP/1.1 200 Conn", "ection established\r\nVia: x\r\n\r", "\nand then this"});
    auto fd = connect("tcp://builder.test:8443", {"127.0.0.1", proxy.port, "Basic abc"});
    ASSERT_TRUE(fd.ok()) << fd.status().message();
    while (left.size() < 13) {
      char buffer[64];
      ssize_t n = ::recv(fd->get(), buffer, sizeof buffer, 0);
      if (n > 0) left.append(buffer, static_cast<size_t>(n));
    }
    asked = proxy.asked;
  }
  EXPECT_EQ(left, "and then this");
  EXPECT_EQ(
      asked,
      "CONNECT builder.test:8443 HTTP/1.1\r\nHost: builder.test:8443\r\nUser-Agent: libdepot\r\n"
      "Proxy-Authorization: Basic abc\r\n\r\n");
}

TEST(Connector, SaysWhatTheProxySaid) {
  auto failure = [](std::vector<std::string> says) {
    FakeProxy proxy(std::move(says));
    auto fd = connect("tcp://[2001:db8::1]:1", {"127.0.0.1", proxy.port, ""});
    EXPECT_FALSE(fd.ok());
    EXPECT_EQ(fd.status().code(), Code::kUnavailable);
    return fd.status().message();
  };
  EXPECT_THAT(
      failure({"HTTP/1.1 407 Proxy Authentication Required\r\n\r\n"}),
      HasSubstr("refuses to connect to [2001:db8::1]:1: 407 Proxy Authentication Required"));
  EXPECT_THAT(failure({"SSH-2.0-x\r\n\r\n"}), HasSubstr("does not answer as a proxy does"));
  EXPECT_THAT(failure({std::string(20000, 'x')}), HasSubstr("does not answer as a proxy does"));
  EXPECT_THAT(failure({}), HasSubstr("closed the connection"));
}

TEST(Connector, SaysWhyThereIsNoConnection) {
  EXPECT_THAT(connect("unix:///nowhere/at/all").status().message(),
              HasSubstr("/nowhere/at/all: No such file or directory"));
  // Nobody listens on a port that was just let go.
  std::string port;
  {
    FakeProxy proxy({});
    port = proxy.port;
    UniqueFd fd(*connect("tcp://127.0.0.1:" + port));
  }
  EXPECT_THAT(connect("tcp://127.0.0.1:" + port).status().message(),
              HasSubstr("127.0.0.1:" + port + ": Connection refused"));
  EXPECT_THAT(connect("tcp://no.such.host.invalid:1").status().message(),
              HasSubstr("cannot look up no.such.host.invalid"));
}

TEST(Connector, MayGoWhileItWaits) {
  base::EpollLoop loop;
  auto connector = std::make_unique<Connector>(loop);
  loop.post([&] {
    connector->start(tcp("tcp://no.such.host.invalid:1"), {},
                     [](auto) { FAIL() << "it had gone"; });
    connector = nullptr;
    loop.run_after(std::chrono::milliseconds(50), [&] { loop.stop(); });
  });
  loop.run();
}

}  // namespace
}  // namespace depot::buildkit

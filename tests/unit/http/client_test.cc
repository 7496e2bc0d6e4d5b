// What goes out, what comes back, and what is refused.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>

#include <mutex>
#include <vector>

#include "http/client.h"
#include "http/url.h"
#include "unit/http/raw_server.h"
#include "unit/http/standin.h"

namespace depot::http {
namespace {

using namespace std::chrono_literals;
using base::Cancel;
using base::Code;
using base::Hop;
using base::Secret;
using test::http_answer;
using test::RawServer;
using testing::HasSubstr;
using testing::Not;

Options plain() {
  Options options;
  options.environment.emplace();  // no proxies
  return options;
}

Request get(const std::string& url) {
  Request request;
  request.url = url;
  return request;
}

// The TCP_USER_TIMEOUT of this process's connections to `port`, in ms.
std::vector<unsigned> user_timeouts(int port) {
  std::vector<unsigned> found;
  for (int fd = 0; fd < 1024; ++fd) {
    sockaddr_in peer{};
    socklen_t size = sizeof peer;
    if (::getpeername(fd, reinterpret_cast<sockaddr*>(&peer), &size) != 0) continue;
    if (peer.sin_family != AF_INET || ntohs(peer.sin_port) != port) continue;
    unsigned timeout = 0;
    size = sizeof timeout;
    if (::getsockopt(fd, IPPROTO_TCP, TCP_USER_TIMEOUT, &timeout, &size) == 0)
      found.push_back(timeout);
  }
  return found;
}

TEST(Client, AConnectionThatNobodyAcknowledgesIsGivenUp) {
  RawServer server([](const std::string&, int) { return http_answer(200, "", ""); });
  auto client = Client::create(plain());
  ASSERT_TRUE(client->fetch(get(server.url() + "/"), Cancel::never()).ok());
  EXPECT_THAT(user_timeouts(server.port()), testing::ElementsAre(10000));
}

TEST(Client, AFreshConnectionIsMadeWhenOneIsAskedFor) {
  RawServer server([](const std::string&, int) { return http_answer(200, "", ""); });
  auto client = Client::create(plain());
  auto send = [&](bool fresh) {
    Request request = get(server.url() + "/");
    request.version = Version::kHttp1;
    request.fresh = fresh;
    EXPECT_TRUE(client->fetch(std::move(request), Cancel::never()).ok());
    return server.connections();
  };
  EXPECT_EQ(send(false), 1);
  EXPECT_EQ(send(false), 1);
  EXPECT_EQ(send(true), 2);
}

TEST(Client, SendsWhatItIsGivenAndGivesBackWhatCame) {
  RawServer server([](const std::string&, int) {
    return "HTTP/1.1 100 Continue\r\nX-Early: 1\r\n\r\n" +
           http_answer(418, "X-Mixed-Case:  two words \r\nX-Twice: 1\r\nX-Twice: 2\r\n", "tea");
  });
  Options options = plain();
  options.user_agent = "agent/1";
  auto client = Client::create(options);
  Request request = get(server.url() + "/a/b?c=d");
  request.method = "POST";
  request.headers = {{"X-One", "1"}, {"X-Empty", ""}};
  request.authorization = Secret("Bearer abc");
  request.body = Secret(std::string_view("\0body\n", 6));
  auto response = client->fetch(std::move(request), Cancel::never());
  ASSERT_TRUE(response.ok()) << response.status().message();
  EXPECT_EQ(response->status, 418);
  EXPECT_EQ(response->body, "tea");
  EXPECT_EQ(response->header("x-mixed-case"), "two words");
  EXPECT_EQ(response->header("x-twice"), "1");
  EXPECT_EQ(response->header("x-early"), "") << "of an interim answer";
  ASSERT_EQ(server.requests().size(), 1u);
  std::string sent = server.requests()[0];
  EXPECT_THAT(sent, testing::StartsWith("POST /a/b?c=d HTTP/1.1\r\n"));
  for (const char* line : {"X-One: 1\r\n", "X-Empty:\r\n", "Authorization: Bearer abc\r\n",
                           "User-Agent: agent/1\r\n", "Content-Length: 6\r\n"})
    EXPECT_THAT(sent, HasSubstr(line));
  EXPECT_THAT(sent, Not(HasSubstr("Expect:")));
  EXPECT_TRUE(sent.ends_with(std::string("\r\n\r\n\0body\n", 10)));
}

TEST(Client, OtherMethods) {
  RawServer server([](const std::string& request, int) {
    // An answer to HEAD has the length of a body that is not there.
    return request.starts_with("HEAD") ? "HTTP/1.1 200 OK\r\nContent-Length: 7\r\n\r\n"
                                       : http_answer(204, "", "");
  });
  auto client = Client::create(plain());
  for (const char* method : {"HEAD", "DELETE", "PUT", "POST"}) {
    Request request = get(server.url());
    request.method = method;
    if (request.method == "PUT") request.body = Secret("text");
    auto response = client->fetch(std::move(request), Cancel::never());
    ASSERT_TRUE(response.ok()) << method << ": " << response.status().message();
    EXPECT_THAT(server.requests().back(), testing::StartsWith(std::string(method) + " /"));
  }
}

TEST(Client, AnAnswerThatIsTooLargeEndsTheRequest) {
  RawServer server(
      [](const std::string&, int) { return http_answer(200, "", std::string(5000, 'x')); });
  auto client = Client::create(plain());
  for (size_t limit : {size_t{0}, size_t{4999}, size_t{5000}}) {
    Request request = get(server.url());
    request.max_response = limit;
    auto response = client->fetch(std::move(request), Cancel::never());
    EXPECT_EQ(response.status().code(), limit == 5000 ? Code::kOk : Code::kResourceExhausted);
  }
}

TEST(Client, TooManyHeadersEndTheRequest) {
  std::string many;
  for (int i = 0; i < 1500; ++i) many += "X-" + std::to_string(i) + ": 1\r\n";
  std::string large = "X-Long: " + std::string(90000, 'x') + "\r\n";
  for (const std::string& headers : {many, large + large + large}) {
    RawServer server([&](const std::string&, int) { return http_answer(200, headers, ""); });
    auto response = Client::create(plain())->fetch(get(server.url()), Cancel::never());
    EXPECT_EQ(response.status().code(), Code::kResourceExhausted);
  }
}

TEST(Client, TransportFailuresAreUnavailable) {
  auto client = Client::create(plain());
  auto refused = client->fetch(get("http://127.0.0.1:" + std::to_string(test::closed_port())),
                               Cancel::never());
  EXPECT_EQ(refused.status().code(), Code::kUnavailable);
  EXPECT_EQ(refused.status().hop(), Hop::kApi);
  EXPECT_TRUE(refused.status().error().retryable);
  EXPECT_THAT(refused.status().message(), HasSubstr("http://127.0.0.1:"));

  for (const char* bytes :
       {"", "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\nshort", "no HTTP at all"}) {
    RawServer server([&](const std::string&, int) { return test::then_close(bytes); });
    auto broken = client->fetch(get(server.url()), Cancel::never());
    EXPECT_EQ(broken.status().code(), Code::kUnavailable) << bytes;
    EXPECT_EQ(broken.status().error().retryable, !std::string(bytes).starts_with("no"));
  }
}

TEST(Client, TheDeadlineEndsWhatHangs) {
  RawServer server([](const std::string&, int) { return RawServer::kHang; });
  auto client = Client::create(plain());
  Request request = get(server.url());
  request.timeout = 100ms;
  auto response = client->fetch(std::move(request), Cancel::never());
  EXPECT_EQ(response.status().code(), Code::kDeadlineExceeded);
  EXPECT_THAT(response.status().message(), HasSubstr("no answer within 100 ms"));
  EXPECT_FALSE(response.status().error().retryable);
  for (auto none : {0ms, -5ms, std::chrono::milliseconds::min()}) {
    Request late = get(server.url());
    late.timeout = none;
    EXPECT_EQ(client->fetch(std::move(late), Cancel::never()).status().code(),
              Code::kDeadlineExceeded);
  }
  Request endless = get("http://127.0.0.1:" + std::to_string(test::closed_port()));
  endless.timeout = std::chrono::milliseconds::max();
  EXPECT_EQ(client->fetch(std::move(endless), Cancel::never()).status().code(), Code::kUnavailable);
}

TEST(Client, RefusesWhatCannotBeSentAndDoesNotRepeatIt) {
  RawServer server([](const std::string&, int) { return http_answer(200, "", ""); });
  auto client = Client::create(plain());
  std::vector<Request> bad;
  for (const char* url : {"", "ftp://127.0.0.1/", "file:///etc/passwd", "http://", "127.0.0.1",
                          "http://user:s3cr3t@127.0.0.1/", "http://s3cr3t@127.0.0.1/",
                          "http://127.0.0.1:99999/", "http://127.0.0.1/s3cr3t\r\nx"})
    bad.push_back(get(url));
  bad.push_back(get(std::string("http://127.0.0.1/\0s3cr3t", 24)));
  bad.push_back(get("http://127.0.0.1/" + std::string(70000, 'x')));
  auto with = [&](auto&& change) {
    bad.push_back(get(server.url()));
    change(bad.back());
  };
  with([](Request& r) { r.method = "GET /x"; });
  with([](Request& r) { r.method = ""; });
  with([](Request& r) { r.headers = {{"a:b", "c"}}; });
  with([](Request& r) { r.headers = {{"", "c"}}; });
  with([](Request& r) { r.headers = {{"a", "s3cr3t\r\nb: c"}}; });
  with([](Request& r) { r.authorization = Secret("Bearer s3cr3t\n"); });
  with([](Request& r) {
    r.follow_redirects = true;
    r.authorization = Secret("Bearer s3cr3t");
  });
  with([](Request& r) {
    r.follow_redirects = true;
    r.body = Secret("s3cr3t");
  });
  for (Request& request : bad) {
    std::string url = request.url;
    auto response = client->fetch(std::move(request), Cancel::never());
    ASSERT_FALSE(response.ok()) << url;
    EXPECT_EQ(response.status().code(), Code::kInvalidArgument) << url;
    EXPECT_EQ(response.status().hop(), Hop::kUsage);
    EXPECT_FALSE(response.status().error().retryable);
    EXPECT_THAT(response.status().message(), Not(HasSubstr("s3cr3t")));
  }
  EXPECT_TRUE(server.requests().empty());
}

TEST(Client, RedirectsAreFollowedOnlyOnRequest) {
  RawServer server([](const std::string& request, int) {
    return request.starts_with("GET /from")
               ? http_answer(302, "Location: /to\r\nX-Of: from\r\n", "moved")
               : http_answer(200, "", "here");
  });
  auto client = Client::create(plain());
  auto stayed = client->fetch(get(server.url() + "/from"), Cancel::never());
  ASSERT_TRUE(stayed.ok());
  EXPECT_EQ(stayed->status, 302);
  Request request = get(server.url() + "/from");
  request.follow_redirects = true;
  auto went = client->fetch(std::move(request), Cancel::never());
  ASSERT_TRUE(went.ok());
  EXPECT_EQ(went->status, 200);
  EXPECT_EQ(went->body, "here");
  EXPECT_EQ(went->header("x-of"), "");
}

TEST(Client, OnceIsNotSentAgainWhenAReusedConnectionDies) {
  RawServer server(
      [](const std::string&, int n) { return n == 1 ? http_answer(200, "", "") : ""; });
  auto client = Client::create(plain());
  ASSERT_TRUE(client->fetch(get(server.url()), Cancel::never()).ok());
  Request request = get(server.url());
  request.method = "POST";
  request.body = Secret("create");
  request.once = true;
  auto response = client->fetch(std::move(request), Cancel::never());
  EXPECT_EQ(response.status().code(), Code::kUnavailable);
  EXPECT_FALSE(response.status().error().retryable) << "it may have arrived";
  EXPECT_EQ(server.requests().size(), 2u);

  Request nowhere = get("http://127.0.0.1:" + std::to_string(test::closed_port()));
  nowhere.once = true;
  EXPECT_TRUE(client->fetch(std::move(nowhere), Cancel::never()).status().error().retryable)
      << "nothing had been sent";
}

TEST(Client, LogsWithoutQueryHeadersAndBodies) {
  std::mutex mutex;
  std::string lines;
  Options options = plain();
  options.log = [&](base::LogLevel, std::string_view line) {
    std::lock_guard lock(mutex);
    lines += std::string(line) + "\n";
  };
  RawServer server(
      [](const std::string&, int) { return http_answer(200, "X: s3cr3t\r\n", "s3cr3t"); });
  auto client = Client::create(options);
  Request request = get(server.url() + "/path?token=s3cr3t#s3cr3t");
  request.authorization = Secret("s3cr3t");
  request.body = Secret("s3cr3t");
  ASSERT_TRUE(client->fetch(std::move(request), Cancel::never()).ok());
  client.reset();
  EXPECT_THAT(lines, HasSubstr("GET " + server.url() + "/path: 200 after "));
  EXPECT_THAT(lines, Not(HasSubstr("s3cr3t")));
}

TEST(Client, UnixSocketWhateverTheUrlsHost) {
  test::TempFolder folder;
  std::string path = folder.path() + "/socket";
  RawServer server([](const std::string&, int) { return http_answer(200, "", "over unix"); }, path);
  Options options = plain();
  options.unix_socket = path;
  options.environment = base::Environment(
      std::map<std::string, std::string, std::less<>>{{"http_proxy", "http://127.0.0.1:1"}});
  auto response = Client::create(options)->fetch(get("http://builder.invalid/x"), Cancel::never());
  ASSERT_TRUE(response.ok()) << response.status().message();
  EXPECT_EQ(response->body, "over unix");
  EXPECT_THAT(server.requests()[0], HasSubstr("Host: builder.invalid\r\n"));
}

TEST(Response, RetryAfter) {
  auto after = [](const std::string& value) {
    Response response;
    if (!value.empty()) response.headers = {{"retry-after", value}};
    return response.retry_after();
  };
  EXPECT_EQ(after(""), std::nullopt);
  EXPECT_EQ(after("7"), 7s);
  EXPECT_EQ(after("0"), 0s);
  EXPECT_EQ(after("-3"), 0s);
  EXPECT_EQ(after("99999999999999999999999"), 24h);
  EXPECT_EQ(after("soon"), std::nullopt);
  EXPECT_EQ(after("Wed, 21 Oct 2015 07:28:00 GMT"), 0s);
  EXPECT_EQ(after("Wed, 21 Oct 2099 07:28:00 GMT"), 24h);
}

TEST(OneLine, CutsAndBlanks) {
  EXPECT_EQ(one_line("a\r\nb\x1b[31m\n", 100), "a  b [31m");
  EXPECT_EQ(one_line("abcdef", 3), "abc");
}

}  // namespace
}  // namespace depot::http

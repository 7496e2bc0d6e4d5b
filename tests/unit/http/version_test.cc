// http:// without TLS: HTTP/2 where the server speaks it, HTTP/1.1 where not, known after one
// question.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <latch>

#include "http/client.h"
#include "unit/http/raw_server.h"
#include "unit/http/standin.h"

namespace depot::http {
namespace {

using base::Cancel;
using base::Code;
using test::http_answer;
using test::RawServer;

std::shared_ptr<Client> make() {
  Options options;
  options.environment.emplace();
  return Client::create(options);
}

Request get(const std::string& url, Version version = Version::kDefault) {
  Request request;
  request.url = url;
  request.version = version;
  return request;
}

TEST(Version, Http2ByPriorKnowledge) {
  test::Standin server;
  auto client = make();
  for (int i = 0; i < 20; ++i)
    ASSERT_TRUE(client->fetch(get(server.url() + "/two"), Cancel::never()).ok());
  ASSERT_TRUE(client->fetch(get(server.url() + "/one", Version::kHttp1), Cancel::never()).ok());
  ASSERT_TRUE(make()->fetch(get(server.url() + "/told", Version::kHttp2), Cancel::never()).ok());
  for (auto& call : server.calls("/two", 20)) EXPECT_EQ(call["http"], "HTTP/2.0");
  EXPECT_EQ(server.calls("/one")[0]["http"], "HTTP/1.1");
  EXPECT_EQ(server.calls("/told")[0]["http"], "HTTP/2.0");
}

TEST(Version, ManyAtOnce) {
  test::Standin server;
  auto client = make();
  std::latch answered(50);
  for (int i = 0; i < 50; ++i) {
    client->send(get(server.url() + "/x"), [&](base::Result<Response> result) {
      EXPECT_TRUE(result.ok()) << result.status().message();
      answered.count_down();
    });
  }
  answered.wait();
  for (auto& call : server.calls("/x", 50)) EXPECT_EQ(call["http"], "HTTP/2.0");
}

TEST(Version, Http1WhereTheServerKnowsNoBetterAskedOnce) {
  for (const char* answer : {"HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n",
                             "HTTP/1.0 505 No\r\n\r\n", "", "SSH-2.0-OpenSSH_9\r\n", "H"}) {
    RawServer server([](const std::string&, int) { return http_answer(200, "", "one"); });
    server.answer_preface_with(answer);
    auto client = make();
    for (int i = 0; i < 3; ++i) {
      auto response = client->fetch(get(server.url()), Cancel::never());
      ASSERT_TRUE(response.ok()) << answer << response.status().message();
      EXPECT_EQ(response->body, "one");
    }
    EXPECT_EQ(server.prefaces(), 1) << answer;
    EXPECT_EQ(server.requests().size(), 3u);
  }
}

TEST(Version, AServerThatKeepsSilentGetsHttp1ButIsAskedAgain) {
  RawServer server([](const std::string&, int) { return http_answer(200, "", "one"); });
  server.answer_preface_with(RawServer::kHang);
  auto client = make();
  ASSERT_TRUE(client->fetch(get(server.url()), Cancel::never()).ok());
  server.answer_preface_with("HTTP/1.1 400 No\r\n\r\n");
  ASSERT_TRUE(client->fetch(get(server.url()), Cancel::never()).ok());
  ASSERT_TRUE(client->fetch(get(server.url()), Cancel::never()).ok());
  EXPECT_EQ(server.prefaces(), 2);
}

TEST(Version, AServerThatChangedIsAskedAnew) {
  std::atomic<bool> broken = false;
  RawServer server([&](const std::string&, int) { return broken ? "" : http_answer(200, "", ""); });
  auto client = make();
  ASSERT_TRUE(client->fetch(get(server.url()), Cancel::never()).ok());
  broken = true;
  EXPECT_EQ(client->fetch(get(server.url()), Cancel::never()).status().code(), Code::kUnavailable);
  broken = false;
  ASSERT_TRUE(client->fetch(get(server.url()), Cancel::never()).ok());
  EXPECT_EQ(server.prefaces(), 2);
}

}  // namespace
}  // namespace depot::http

// When a call is repeated, and when not.
#include "depotapi/retry.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "unit/http/raw_server.h"

namespace depot::depotapi {
namespace {

using namespace std::chrono_literals;
using base::Code;
using test::http_answer;
using test::RawServer;
using testing::HasSubstr;

const std::string kGood = http_answer(200, "Content-Type: application/proto\r\n", "good");

struct Outcome {
  UnaryAnswer answer;
  size_t requests;
};

Outcome try_all(RawServer::Handler handler, bool once = false, CallOptions options = {},
                std::chrono::milliseconds first_try = kFirstTry) {
  RawServer server(std::move(handler));
  http::Options http_options;
  http_options.environment.emplace();
  ConnectClient client(http::Client::create(http_options), server.url());
  UnaryRequest request;
  request.path = "/a.B/C";
  request.once = once;
  UnaryAnswer answer = call_with_retries(client, request, options, {}, first_try);
  return {std::move(answer), server.requests().size()};
}

TEST(Retry, PassingFailuresAreRepeated) {
  for (const std::string& failure :
       {http_answer(503, "", ""), http_answer(429, "Retry-After: 0\r\n", ""),
        http_answer(502, "", ""), http_answer(504, "", ""), http_answer(500, "", ""), std::string(),
        http_answer(500, "Content-Type: application/json\r\n", R"({"code":"internal"})"),
        http_answer(400, "Content-Type: application/json\r\n", R"({"code":"unavailable"})"),
        http_answer(429, "Content-Type: application/json\r\n",
                    R"({"code":"resource_exhausted"})")}) {
    auto [answer, requests] =
        try_all([&](const std::string&, int n) { return n < 3 ? failure : kGood; });
    EXPECT_EQ(answer.message, "good") << failure << answer.status.message();
    // curl itself repeats on a reused connection that was closed without an answer.
    EXPECT_GE(requests, 3u) << failure;
  }
}

TEST(Retry, LastingFailuresAreNot) {
  for (const std::string& failure :
       {http_answer(401, "", ""), http_answer(404, "", ""),
        http_answer(200, "Content-Type: text/html\r\n", "x"),
        http_answer(501, "Content-Type: application/json\r\n", R"({"code":"unimplemented"})"),
        test::then_close("SMTP")}) {
    auto [answer, requests] = try_all([&](const std::string&, int) { return failure; });
    EXPECT_FALSE(answer.status.ok());
    EXPECT_EQ(requests, 1u) << failure;
  }
}

TEST(Retry, AServerThatAlwaysFailsIsNotAskedForLong) {
  auto [answer, requests] =
      try_all([](const std::string&, int) { return http_answer(500, "", ""); });
  EXPECT_EQ(answer.http_status, 500);
  EXPECT_EQ(requests, 4u);
  EXPECT_THAT(answer.status.message(), HasSubstr("after 4 tries: "));
}

TEST(Retry, OnceIsNeverRepeatedWhenItMayHaveArrived) {
  for (const std::string& failure :
       {http_answer(503, "", ""), http_answer(429, "", ""), std::string(),
        test::then_close("HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx")}) {
    auto [answer, requests] = try_all([&](const std::string&, int) { return failure; }, true);
    EXPECT_FALSE(answer.status.ok());
    EXPECT_EQ(requests, 1u) << failure;
  }
}

TEST(Retry, SilenceIsNotWaitedForToTheEnd) {
  auto handler = [](const std::string&, int n) { return n == 1 ? RawServer::kHang : kGood; };
  auto [answer, requests] = try_all(handler, false, {}, 50ms);
  EXPECT_EQ(answer.message, "good") << answer.status.message();
  EXPECT_EQ(requests, 2u);
  CallOptions options;
  options.timeout = 200ms;
  auto [once, sent] = try_all(handler, true, options, 1ms);
  EXPECT_EQ(once.status.code(), Code::kDeadlineExceeded);
  EXPECT_EQ(sent, 1u);
}

TEST(Retry, ASlowServerIsGivenLongerEachTime) {
  CallOptions options;
  options.timeout = 1500ms;
  auto [answer, requests] =
      try_all([](const std::string&, int) { return RawServer::kHang; }, false, options, 500ms);
  EXPECT_EQ(answer.status.code(), Code::kDeadlineExceeded);
  EXPECT_EQ(requests, 2u) << "500 ms, then what is left";
}

TEST(Retry, AWaitBeyondTheDeadlineIsNotBegun) {
  CallOptions options;
  options.timeout = 60s;
  auto [answer, requests] =
      try_all([](const std::string&, int) { return http_answer(429, "Retry-After: 3600\r\n", ""); },
              false, options);
  EXPECT_EQ(answer.status.code(), Code::kUnavailable);
  EXPECT_TRUE(answer.status.error().retryable);
  EXPECT_EQ(requests, 1u);
}

TEST(Retry, ACancelEndsTheWait) {
  CallOptions options;
  options.cancel = base::Cancel();
  options.timeout = 1h;
  auto [answer, requests] = try_all(
      [&](const std::string&, int) {
        options.cancel.trigger();
        return http_answer(503, "Retry-After: 600\r\n", "");
      },
      false, options);
  EXPECT_EQ(answer.status.code(), Code::kCancelled);
  EXPECT_EQ(requests, 1u);
}

TEST(Retry, TheNumberOfTriesIsTold) {
  auto [answer, requests] = try_all([](const std::string&, int n) {
    return http_answer(503, n == 3 ? "Retry-After: 3600\r\n" : "", "down");
  });
  EXPECT_EQ(requests, 3u);
  EXPECT_THAT(answer.status.message(), HasSubstr("after 3 tries: "));
}

TEST(Backoff, GrowsToItsBoundAndNoFurther) {
  Backoff backoff;
  auto bound = Backoff::kFirst;
  for (int i = 0; i < 20; ++i) {
    auto wait = backoff.next();
    EXPECT_GT(wait, 0ms);
    EXPECT_LE(wait, bound);
    bound = std::min(bound * 2, Backoff::kMost);
  }
}

}  // namespace
}  // namespace depot::depotapi

// The identity providers of continuous-integration services, each behind a real HTTP exchange.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <mutex>

#include "depotapi/resolve.h"
#include "unit/http/raw_server.h"
#include "unit/http/standin.h"

namespace depot::depotapi {
namespace {

using namespace std::chrono_literals;
using base::Code;
using base::Environment;
using test::http_answer;
using test::RawServer;
using testing::HasSubstr;
using testing::Not;
using Variables = std::map<std::string, std::string, std::less<>>;

class Oidc : public testing::Test {
 protected:
  ResolveOptions options(Variables variables, http::Options http_options = {}) {
    variables.emplace("HOME", folder_.path());
    ResolveOptions resolve;
    resolve.environment = Environment(std::move(variables));
    http_options.environment.emplace();
    http_options.log = resolve.log = [this](base::LogLevel, std::string_view line) {
      std::lock_guard lock(mutex_);
      log_ += std::string(line) + "\n";
    };
    resolve.http = http::Client::create(http_options);
    return resolve;
  }

  Variables github(const std::string& url) {
    return {{"ACTIONS_ID_TOKEN_REQUEST_URL", url},
            {"ACTIONS_ID_TOKEN_REQUEST_TOKEN", "req-s3cr3t"}};
  }

  test::TempFolder folder_;
  std::mutex mutex_;
  std::string log_;
};

TEST_F(Oidc, GitHub) {
  RawServer server([](const std::string&, int n) {
    return n == 1 ? http_answer(500, "", "")
                  : http_answer(200, "", R"({"count":1,"value":"jwt-s3cr3t"})");
  });
  auto resolve = options(github(server.url() + "/token?api-version=2.0"));
  auto token = resolve_token(resolve, {});
  ASSERT_TRUE(token.ok()) << token.status().message();
  EXPECT_EQ(token->reveal(), "jwt-s3cr3t");
  ASSERT_EQ(server.requests().size(), 2u) << "a 500 is tried again";
  EXPECT_THAT(
      server.requests()[0],
      testing::StartsWith("GET /token?api-version=2.0&audience=https%3A%2F%2Fdepot.dev HTTP"));
  EXPECT_THAT(server.requests()[0], HasSubstr("Authorization: bearer req-s3cr3t\r\n"));
  resolve.http.reset();
  EXPECT_THAT(log_, Not(HasSubstr("s3cr3t")));
}

TEST_F(Oidc, Buildkite) {
  RawServer server(
      [](const std::string&, int) { return http_answer(200, "", R"({"token":"jwt"})"); });
  Variables variables{{"BUILDKITE_AGENT_ACCESS_TOKEN", "agent"},
                      {"BUILDKITE_JOB_ID", "job-1"},
                      {"BUILDKITE_AGENT_ENDPOINT", server.url() + "/v3"}};
  auto token = resolve_token(options(variables), {});
  ASSERT_TRUE(token.ok()) << token.status().message();
  EXPECT_EQ(token->reveal(), "jwt");
  std::string sent = server.requests()[0];
  EXPECT_THAT(sent, testing::StartsWith("POST /v3/jobs/job-1/oidc/tokens HTTP/1.1\r\n"));
  EXPECT_THAT(sent, HasSubstr("Authorization: Token agent\r\n"));
  EXPECT_THAT(sent, HasSubstr("User-Agent: buildkite-agent/api\r\n"));
  EXPECT_THAT(sent, testing::EndsWith("\r\n\r\n{\"audience\":\"https://depot.dev\"}"));
  variables["BUILDKITE_JOB_ID"] = "../x?";
  EXPECT_EQ(resolve_token(options(variables), {}).status().code(), Code::kUnauthenticated);
  EXPECT_EQ(server.requests().size(), 1u);
}

TEST_F(Oidc, AProviderThatFailsIsNamedAndTheNextOneAsked) {
  for (const std::string& answer :
       {http_answer(403, "", R"({"value":"x-s3cr3t"})"), http_answer(200, "", "<html>s3cr3t"),
        http_answer(200, "", R"({"value":7})"), http_answer(200, "", R"({"value":""})"),
        http_answer(200, "", "[]"), http_answer(302, "Location: /elsewhere\r\n", ""),
        http_answer(200, "", R"({"value":")" + std::string(70000, 'x') + "\"}"),
        http_answer(200, "", std::string(1 << 20, 'x'))}) {
    RawServer server([&](const std::string&, int) { return answer; });
    auto variables = github(server.url());
    auto none = resolve_token(options(variables), {});
    EXPECT_EQ(none.status().code(), Code::kUnauthenticated);
    EXPECT_THAT(none.status().message(), HasSubstr("GitHub Actions: "));
    EXPECT_THAT(none.status().message(), Not(HasSubstr("s3cr3t")));
    EXPECT_LT(none.status().message().size(), size_t{1000});
    EXPECT_EQ(server.requests().size(), 1u) << "no use in asking again";
    variables["CIRCLE_OIDC_TOKEN_V2"] = "circle";
    EXPECT_EQ(resolve_token(options(variables), {})->reveal(), "circle");
  }
}

TEST_F(Oidc, ACancelEndsIt) {
  CallOptions call;
  call.cancel = base::Cancel();
  RawServer server([&](const std::string&, int) {
    call.cancel.trigger();
    return RawServer::kHang;
  });
  auto variables = github(server.url());
  variables["CIRCLE_OIDC_TOKEN_V2"] = "circle";
  EXPECT_EQ(resolve_token(options(variables), call).status().code(), Code::kCancelled);
}

TEST_F(Oidc, PullRequestsFromForks) {
  auto certificate = test::make_certificate(folder_, "actions-public-oidc.depot.dev");
  std::string socket = folder_.path() + "/socket";
  test::Standin server(
      {"-listen", socket, "-tls-cert", certificate.cert_file, "-tls-key", certificate.key_file});
  http::Options route;
  route.unix_socket = socket;
  route.ca_pem = certificate.pem;
  route.environment.emplace();
  server.steer_by(route);
  server.script(
      {{"faults",
        {{{"method", "/claim"},
          {"kind", "http"},
          {"times", -1},
          {"body",
           R"({"challengeCode":"code-1","exchangeURL":"https://actions-public-oidc.depot.dev/exchange"})"}},
         {{"method", "/exchange"}, {"kind", "http"}, {"status", 404}},
         {{"method", "/exchange"}, {"kind", "http"}, {"times", -1}, {"body", "jwt-of-fork\n"}}}}});
  auto event = [&](bool is_private, const char* head) {
    return folder_.write(
        "event.json",
        nlohmann::json{{"repository", {{"private", is_private}, {"full_name", "o/r"}}},
                       {"pull_request",
                        {{"head", {{"repo", {{"full_name", head}}}}},
                         {"base", {{"repo", {{"full_name", "o/r"}}}}}}}}
            .dump());
  };
  Variables variables{{"GITHUB_RUN_ID", "7"},
                      {"GITHUB_RUN_ATTEMPT", "2"},
                      {"GITHUB_EVENT_NAME", "pull_request"},
                      {"GITHUB_EVENT_PATH", event(false, "fork/r")}};
  auto token = resolve_token(options(variables, route), {});
  ASSERT_TRUE(token.ok()) << token.status().message();
  EXPECT_EQ(token->reveal(), "jwt-of-fork");
  EXPECT_THAT(log_, HasSubstr("Waiting for OIDC auth challenge code-1\n"));
  EXPECT_EQ(
      nlohmann::json::parse(server.calls("/claim")[0]["body"].get<std::string>()),
      nlohmann::json::parse(R"({"aud":"https://depot.dev","eventName":"pull_request","repo":"o/r",
                                      "runID":"7","attempt":"2"})"));
  // Not for private repositories, nor for branches of the repository itself, nor for other events.
  for (auto [is_private, head] : {std::pair(true, "fork/r"), {false, "o/r"}}) {
    variables["GITHUB_EVENT_PATH"] = event(is_private, head);
    EXPECT_FALSE(has_token("", Environment(variables)));
  }
  variables["GITHUB_EVENT_PATH"] = event(false, "fork/r");
  EXPECT_TRUE(has_token("", Environment(variables)));
  variables["GITHUB_EVENT_NAME"] = "push";
  EXPECT_FALSE(has_token("", Environment(variables)));
}

}  // namespace
}  // namespace depot::depotapi

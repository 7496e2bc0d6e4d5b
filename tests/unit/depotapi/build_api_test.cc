// The build API against connect-go's handlers: the flow, and its faults.
#include "depotapi/build_api.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <future>
#include <mutex>
#include <thread>

#include "moby/buildkit/v1/control.pb.h"
#include "unit/http/standin.h"

namespace depot::depotapi {
namespace {

using namespace std::chrono_literals;
using base::Code;
using base::Hop;
using base::Secret;
using nlohmann::json;
using testing::HasSubstr;
using testing::Not;

class Api : public testing::Test {
 protected:
  Api() {
    http::Options options;
    options.user_agent = "libdepot/test";
    options.environment.emplace();
    options.log = sink();
    http_ = http::Client::create(options);
    BuildApiOptions api;
    api.http = http_;
    api.base_url = server_.url() + "/";
    api.log = sink();
    api_ = BuildApi::create(api);
  }

  ~Api() override {
    api_.reset();
    http_.reset();
    std::lock_guard lock(log_->mutex);
    EXPECT_THAT(log_->text, Not(HasSubstr("s3cr3t")));
    EXPECT_THAT(log_->text, Not(HasSubstr("build-token")));
  }

  base::LogSink sink() {
    return [log = log_](base::LogLevel, std::string_view line) {
      std::lock_guard lock(log->mutex);
      log->text += std::string(line) + "\n";
    };
  }

  CreatedBuild create() {
    auto build =
        api_->create_build({"p1", {"app:1"}, true, false, false, {}, "made", {}}, token_, {});
    EXPECT_TRUE(build.ok()) << build.status().message();
    return build.ok() ? *build : CreatedBuild();
  }

  void fault(const json& fault) { server_.script({{"faults", {fault}}}); }

  test::Standin server_{{"--token", "tok-s3cr3t", "--project", "p1"}};
  Secret token_{"tok-s3cr3t"};
  std::shared_ptr<http::Client> http_;
  std::shared_ptr<BuildApi> api_;
  // What is finished later logs when this is gone.
  struct Log {
    std::mutex mutex;
    std::string text;
  };
  const std::shared_ptr<Log> log_ = std::make_shared<Log>();
};

TEST_F(Api, TheWholeFlow) {
  server_.script({{"pending_ms", {7, 1000000}},
                  {"machine", {{"endpoint", "tcp://10.0.0.1:8888"}, {"compressor", "gzip"}}},
                  {"additional_credentials", {{{"host", "r.test"}, {"token", "dTpw"}}}}});
  CreatedBuild build = create();
  EXPECT_EQ(build.id, "build-1");
  EXPECT_EQ(build.project, "p1");
  EXPECT_EQ(build.url, "https://depot.invalid/builds/build-1");
  EXPECT_EQ(build.token.reveal(), "build-token-1");
  ASSERT_EQ(build.credentials.size(), 1u);
  EXPECT_EQ(build.credentials[0].first, "r.test");
  EXPECT_EQ(build.credentials[0].second.reveal(), "dTpw");

  for (auto wait : {100ms, 60000ms}) {
    auto pending = api_->get_connection(build.id, Platform::kArm64, build.token, {});
    ASSERT_TRUE(pending.ok()) << pending.status().message();
    EXPECT_FALSE(pending->active);
    EXPECT_EQ(pending->wait, wait) << "bounded";
  }
  auto machine = api_->get_connection(build.id, Platform::kArm64, build.token, {});
  ASSERT_TRUE(machine.ok()) << machine.status().message();
  EXPECT_TRUE(machine->active);
  EXPECT_EQ(machine->endpoint, "tcp://10.0.0.1:8888");
  EXPECT_TRUE(machine->gzip);
  EXPECT_TRUE(machine->ca_pem.empty());

  ASSERT_TRUE(api_->finish_build(build.id, Outcome::kFailed, "step 3: \xff", build.token, {}).ok());
  auto calls = server_.calls();
  ASSERT_EQ(calls.size(), 5u);
  EXPECT_EQ(calls[0]["method"], "CreateBuild");
  EXPECT_EQ(calls[0]["http"], "HTTP/2.0");
  EXPECT_EQ(calls[0]["authorization"], "Bearer tok-s3cr3t");
  EXPECT_EQ(calls[0]["user_agent"], "libdepot/test");
  EXPECT_EQ(calls[0]["content_type"], "application/proto");
  EXPECT_EQ(calls[0]["fields"], json::parse(R"({"project_id":"p1","options":[
      {"command":"COMMAND_BUILD","tags":["app:1"],"push":true,"target_name":"made"}]})"));
  EXPECT_EQ(calls[1]["authorization"], "Bearer build-token-1");
  EXPECT_EQ(calls[1]["fields"]["platform"], "BUILDER_PLATFORM_ARM64");
  EXPECT_EQ(calls[4]["fields"]["error"]["error"], "step 3: \xef\xbf\xbd");
}

TEST_F(Api, Outcomes) {
  for (auto [outcome, field] : {std::pair(Outcome::kSuccess, "success"),
                                {Outcome::kFailed, "error"},
                                {Outcome::kCanceled, "canceled"}}) {
    CreatedBuild build = create();
    ASSERT_TRUE(api_->finish_build(build.id, outcome, "why", build.token, {}).ok());
    EXPECT_TRUE(server_.calls("FinishBuild").back()["fields"].contains(field)) << field;
  }
}

TEST_F(Api, NoProjectIsLeftToTheToken) {
  auto build = api_->create_build({}, token_, {});
  ASSERT_TRUE(build.ok());
  EXPECT_EQ(build->project, "p1");
  EXPECT_FALSE(server_.calls("CreateBuild")[0]["fields"].contains("project_id"));
}

TEST_F(Api, ATokenThatIsRefused) {
  auto build =
      api_->create_build({"p1", {}, false, false, false, {}, "", {}}, Secret("wrong-s3cr3t"), {});
  EXPECT_EQ(build.status().code(), Code::kUnauthenticated);
  EXPECT_EQ(build.status().hop(), Hop::kApi);
  EXPECT_EQ(build.status().message(), "CreateBuild: invalid token");
  EXPECT_THAT(build.status().error().hint, HasSubstr("DEPOT_TOKEN"));
  EXPECT_FALSE(build.status().error().retryable);
}

TEST_F(Api, AnUnknownProject) {
  auto build = api_->create_build({"p2", {}, false, false, false, {}, "", {}}, token_, {});
  EXPECT_EQ(build.status().code(), Code::kNotFound);
  EXPECT_THAT(build.status().message(), HasSubstr("project \"p2\" not found"));
  EXPECT_THAT(build.status().error().hint, HasSubstr("p2"));
}

TEST_F(Api, AnUnknownBuild) {
  EXPECT_EQ(api_->get_connection("nope", Platform::kAmd64, token_, {}).status().code(),
            Code::kNotFound);
}

TEST_F(Api, CreateBuildIsNotSentTwice) {
  for (const json& what :
       {json{{"kind", "error"}, {"code", "unavailable"}, {"times", -1}},
        json{{"kind", "cut"}, {"times", -1}},
        json{{"kind", "http"}, {"status", 429}, {"times", -1}, {"headers", {{"Retry-After", "0"}}}},
        json{{"kind", "http"}, {"status", 503}, {"times", -1}}}) {
    size_t before = server_.calls("CreateBuild").size();
    fault(what);
    EXPECT_EQ(
        api_->create_build({"p1", {}, false, false, false, {}, "", {}}, token_, {}).status().code(),
        Code::kUnavailable);
    EXPECT_EQ(server_.calls("CreateBuild").size(), before + 1) << what;
  }
}

TEST_F(Api, WhatIsSafeIsRepeated) {
  CreatedBuild build = create();
  server_.script({{"faults",
                   {{{"method", "FinishBuild"}, {"kind", "http"}, {"status", 503}, {"times", 1}},
                    {{"method", "FinishBuild"},
                     {"kind", "http"},
                     {"status", 429},
                     {"headers", {{"Retry-After", "0"}}}},
                    {{"method", "FinishBuild"}, {"kind", "cut"}}}}});
  base::Status finished = api_->finish_build(build.id, Outcome::kSuccess, "", build.token, {});
  EXPECT_TRUE(finished.ok()) << finished.message();
  EXPECT_EQ(server_.calls("FinishBuild").size(), 4u);
}

TEST_F(Api, HtmlAndGarbage) {
  fault({{"kind", "html"}, {"times", -1}});
  auto html = api_->create_build({"p1", {}, false, false, false, {}, "", {}}, token_, {});
  EXPECT_EQ(html.status().code(), Code::kUnknown);
  EXPECT_THAT(html.status().message(), HasSubstr("Welcome"));
  EXPECT_THAT(html.status().error().hint, HasSubstr("DEPOT_API_URL"));
  fault({{"kind", "garbage"}, {"times", -1}});
  EXPECT_EQ(
      api_->create_build({"p1", {}, false, false, false, {}, "", {}}, token_, {}).status().code(),
      Code::kInternal);
  EXPECT_EQ(api_->get_connection("b", Platform::kAmd64, token_, {}).status().code(),
            Code::kInternal);
  // An empty message is a message, but says nothing.
  fault({{"kind", "http"}, {"headers", {{"Content-Type", "application/proto"}}}, {"times", -1}});
  EXPECT_EQ(
      api_->create_build({"p1", {}, false, false, false, {}, "", {}}, token_, {}).status().code(),
      Code::kInternal);
  EXPECT_EQ(api_->get_connection("b", Platform::kAmd64, token_, {}).status().code(),
            Code::kInternal);
}

TEST_F(Api, AHangEndsAtTheDeadline) {
  fault({{"kind", "hang"}, {"times", -1}});
  CallOptions options;
  options.timeout = 200ms;
  auto build = api_->create_build({"p1", {}, false, false, false, {}, "", {}}, token_, options);
  EXPECT_EQ(build.status().code(), Code::kDeadlineExceeded);
  EXPECT_EQ(build.status().hop(), Hop::kApi);
  auto calls = server_.calls("CreateBuild", 1, true);
  ASSERT_EQ(calls.size(), 1u);
  EXPECT_EQ(calls[0]["gone"], true) << "the server sees that nobody waits any more";
  EXPECT_EQ(calls[0]["headers"]["Connect-Timeout-Ms"][0], "200");
}

TEST_F(Api, ACancelEndsAHang) {
  fault({{"kind", "hang"}, {"times", -1}});
  CallOptions options;
  options.cancel = base::Cancel();
  options.timeout = 1h;
  std::thread other([&] {
    server_.calls("CreateBuild", 1);
    options.cancel.trigger();
  });
  auto build = api_->create_build({"p1", {}, false, false, false, {}, "", {}}, token_, options);
  other.join();
  EXPECT_EQ(build.status().code(), Code::kCancelled);
}

TEST_F(Api, AServerThatSendsTheTokenBack) {
  fault(
      {{"kind", "error"}, {"code", "internal"}, {"message", "Bearer\ntok-s3cr3t?"}, {"times", -1}});
  auto build = api_->create_build({"p1", {}, false, false, false, {}, "", {}}, token_, {});
  EXPECT_EQ(build.status().message(), "CreateBuild: Bearer [redacted]?");
}

TEST_F(Api, BadAnswersAreNotBelieved) {
  auto answer = [&](const std::string& body) {
    fault({{"kind", "http"}, {"headers", {{"Content-Type", "application/proto"}}}, {"body", body}});
    return api_->get_connection("b", Platform::kAmd64, token_, {});
  };
  // active{endpoint}, by hand.
  auto active = [](const std::string& endpoint) {
    return std::string("\x12") + static_cast<char>(endpoint.size() + 2) + "\x0a" +
           static_cast<char>(endpoint.size()) + endpoint;
  };
  EXPECT_TRUE(answer(active("tcp://10.0.0.1:1")).ok());
  for (const char* endpoint : {"", "ssh://x", "10.0.0.1:1", "tcp://x\ny"})
    EXPECT_EQ(answer(active(endpoint)).status().code(), Code::kInternal) << endpoint;
}

TEST_F(Api, Health) {
  CreatedBuild build = create();
  auto beat = [&](const Secret& token) {
    std::promise<base::Result<BuildApi::CancelsAt>> promise;
    api_->report_health(
        build.id, Platform::kAmd64, token, 30s,
        [&](base::Result<BuildApi::CancelsAt> answer) { promise.set_value(answer); });
    return promise.get_future().get();
  };
  auto well = beat(build.token);
  ASSERT_TRUE(well.ok()) << well.status().message();
  EXPECT_EQ(*well, std::nullopt);
  server_.script({{"cancels_in_ms", -60000}});
  auto over = beat(build.token);
  ASSERT_TRUE(over.ok());
  ASSERT_TRUE(over->has_value());
  EXPECT_LT(**over, std::chrono::system_clock::now());
  EXPECT_EQ(beat(token_).status().code(), Code::kUnauthenticated);
  fault({{"kind", "http"}, {"status", 503}, {"times", -1}});
  size_t before = server_.calls("ReportBuildHealth").size();
  EXPECT_EQ(beat(build.token).status().code(), Code::kUnavailable);
  EXPECT_EQ(server_.calls("ReportBuildHealth").size(), before + 1) << "the next beat comes soon";
}

TEST_F(Api, FinishLater) {
  CreatedBuild build = create();
  api_->finish_build_later(build.id, Outcome::kCanceled, "", build.token);
  auto calls = server_.calls("FinishBuild", 1);
  ASSERT_EQ(calls.size(), 1u);
  EXPECT_TRUE(calls[0]["fields"].contains("canceled"));
}

TEST_F(Api, FinishLaterKeepsItsClient) {
  CreatedBuild build = create();
  http::Options options;
  options.environment.emplace();
  auto alone = BuildApi::create({http::Client::create(options), server_.url(), {}});
  alone->finish_build_later(build.id, Outcome::kFailed, "dropped", build.token);
  alone.reset();  // and with it the last reference to the client
  auto calls = server_.calls("FinishBuild", 1, true);
  ASSERT_EQ(calls.size(), 1u);
  EXPECT_EQ(calls[0]["fields"]["error"]["error"], "dropped");
}

TEST_F(Api, ReportStatus) {
  CreatedBuild build = create();
  moby::buildkit::v1::StatusResponse status;
  status.add_vertexes()->set_name("[1/2] FROM");
  auto report = [&] {
    std::promise<base::Status> answer;
    api_->report_status(build.id, {status.SerializeAsString(), ""}, build.token, 30s,
                        [&](base::Status told) { answer.set_value(std::move(told)); });
    return answer.get_future().get();
  };
  base::Status reported = report();
  EXPECT_TRUE(reported.ok()) << reported.message();
  auto calls = server_.calls("ReportStatusStream");
  ASSERT_EQ(calls.size(), 1u);
  EXPECT_EQ(calls[0]["content_type"], "application/connect+proto");
  EXPECT_EQ(calls[0]["authorization"], "Bearer build-token-1");
  EXPECT_EQ(calls[0]["fields"], json::parse(R"([{"build_id":"build-1","statuses":2}])"));

  // Its end tells of an error; a body that is no stream at all is one, too.
  auto answered = [&](const std::string& body) {
    fault({{"kind", "http"},
           {"headers", {{"Content-Type", "application/connect+proto"}}},
           {"body", body}});
    return report();
  };
  auto frame = [](char flags, const std::string& message) {
    return std::string({flags, 0, 0, 0, static_cast<char>(message.size())}) + message;
  };
  base::Status refused = answered(
      frame(2, R"({"error":{"code":"permission_denied","message":"no s3cr3t build-token-1"}})"));
  EXPECT_EQ(refused.code(), Code::kPermissionDenied);
  EXPECT_EQ(refused.message(), "ReportStatusStream: no s3cr3t [redacted]");
  for (const std::string& body :
       {std::string(), frame(0, ""), frame(0, "") + frame(0, "") + frame(2, "{}"), frame(2, "{}"),
        frame(0, "") + frame(2, "{"), frame(0, "") + frame(1, ""), std::string("\0\0\0\1\0", 5)})
    EXPECT_EQ(answered(body).code(), Code::kInternal) << json(body);
  EXPECT_TRUE(answered(frame(0, "") + frame(2, "{}")).ok());

  // Where there is no such stream, the unary method is asked, which depot-go's handlers have not.
  server_.script({{"faults",
                   {{{"method", "ReportStatusStream"},
                     {"kind", "error"},
                     {"code", "unimplemented"},
                     {"times", -1}}}}});
  size_t streams = server_.calls("ReportStatusStream").size();
  EXPECT_EQ(report().code(), Code::kUnimplemented);
  EXPECT_EQ(report().code(), Code::kUnimplemented);
  EXPECT_EQ(server_.calls("ReportStatusStream").size(), streams + 1);
  EXPECT_EQ(server_.calls("ReportStatus").size(), 2u);
}

TEST_F(Api, WhatIsSaved) {
  server_.script({{"additional_tags", {{{"tag", "r.test/p1:1"}}, {{"tag", "r.test/p1:v1"}}}}});
  NewBuild build;
  build.project = "p1";
  build.load = build.save = true;
  build.save_tags = {"v1"};
  build.outputs = {{"image", {{"compression", "zstd"}, {"odd", "\xff"}}}};
  auto created = api_->create_build(build, token_, {});
  ASSERT_TRUE(created.ok()) << created.status().message();
  EXPECT_EQ(created->tags, (std::vector<std::string>{"r.test/p1:1", "r.test/p1:v1"}));
  EXPECT_EQ(server_.calls("CreateBuild")[0]["fields"]["options"], json::parse(R"([
      {"command":"COMMAND_BUILD","load":true,"save":true,"save_tags":["v1"],"outputs":[
      {"kind":"image","attributes":{"compression":"zstd","odd":"\ufffd"}}]}])"));
  server_.script({{"additional_tags", {{{"tag", "r.test/p1\n"}}}}});
  EXPECT_EQ(api_->create_build(build, token_, {}).status().code(), Code::kInternal);
  build.save_tags = {"v\n"};
  EXPECT_EQ(api_->create_build(build, token_, {}).status().hop(), Hop::kUsage);
}

TEST_F(Api, WhatIsKnownOfABuild) {
  CreatedBuild build = create();
  for (const Secret& token : {token_, build.token}) {
    auto found = api_->get_build(build.id, token, {});
    ASSERT_TRUE(found.ok()) << found.status().message();
    EXPECT_EQ(found->id, build.id);
    EXPECT_EQ(found->project, "p1");
    EXPECT_EQ(found->url, build.url);
  }
  auto unknown = api_->get_build("nope", token_, {});
  EXPECT_EQ(unknown.status().code(), Code::kNotFound);
  EXPECT_THAT(unknown.status().error().hint, HasSubstr("\"nope\""));
  EXPECT_EQ(api_->get_build(build.id, Secret("wrong-s3cr3t"), {}).status().code(),
            Code::kUnauthenticated);
}

TEST_F(Api, APageOfBuilds) {
  create();
  CreatedBuild second = create();
  ASSERT_TRUE(api_->finish_build(second.id, Outcome::kCanceled, "", second.token, {}).ok());
  auto page = api_->list_builds("p1", 1, "", token_, {});
  ASSERT_TRUE(page.ok()) << page.status().message();
  ASSERT_EQ(page->builds.size(), 1u);
  EXPECT_EQ(page->builds[0].id, second.id);
  EXPECT_EQ(page->builds[0].state, BuildState::kCanceled);
  EXPECT_GE(page->builds[0].finished, page->builds[0].created);
  auto rest = api_->list_builds("p1", 1, page->next, token_, {});
  ASSERT_TRUE(rest.ok()) << rest.status().message();
  EXPECT_EQ(rest->builds[0].state, BuildState::kRunning);
  EXPECT_EQ(rest->builds[0].finished, 0);
  EXPECT_TRUE(rest->next.empty());
}

TEST_F(Api, PullsThatCannotBeRight) {
  auto answer = [&](const std::string& body) {
    fault({{"kind", "http"}, {"headers", {{"Content-Type", "application/proto"}}}, {"body", body}});
    return api_->get_pull_info("b", token_, {});
  };
  EXPECT_TRUE(answer("\x0a\x03r/p").ok());
  for (const char* body : {"", "\x0a\x03r\np", "\x0a\x01r\x12\x01\n", "\x0a\x01r\x1a\x01\n",
                           "\x0a\x01r\x22\x03\x12\x01\n"})
    EXPECT_EQ(answer(body).status().code(), Code::kInternal) << json(body);
  fault({{"kind", "http"}, {"headers", {{"Content-Type", "application/proto"}}}});
  EXPECT_EQ(api_->get_pull_token("p1", "", token_, {}).status().code(), Code::kInternal);
  server_.script({{"pull_token", "t"}});
  EXPECT_EQ(api_->get_pull_token("", "b1", token_, {})->reveal(), "t");
  EXPECT_EQ(server_.calls("GetPullToken").back()["fields"], json({{"build_id", "b1"}}));
}

TEST_F(Api, NamesThatAreNoTextAreTheCallersMistake) {
  EXPECT_EQ(
      api_->create_build({"p\xff", {}, false, false, false, {}, "", {}}, token_, {}).status().hop(),
      Hop::kUsage);
  EXPECT_EQ(api_->create_build({"", {"a\nb"}, false, false, false, {}, "", {}}, token_, {})
                .status()
                .hop(),
            Hop::kUsage);
  EXPECT_TRUE(server_.calls().empty());
}

}  // namespace
}  // namespace depot::depotapi

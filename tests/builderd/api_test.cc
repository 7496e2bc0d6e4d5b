// The API of the running daemon: who gets in, what is refused, what hostile bytes do.
#include "harness.h"

namespace depot::builderd_test {
namespace {

class ApiTest : public DaemonTest {
 protected:
  void SetUp() override {
    DaemonTest::SetUp();
    ASSERT_TRUE(start().ok()) << log();
  }
  Answer post(const std::string& path, std::string_view body,
              std::vector<std::string> headers = {}) {
    headers.push_back("Content-Type: application/proto");
    return http(socket_, "POST", path, headers, body);
  }
};

const std::string kCreate(wire::kBuildCreateBuild);

TEST_F(ApiTest, ABuildIsOpenedByItsOwnTokenAlone) {
  auto build = create(), other = create();
  EXPECT_NE(build.build_token(), other.build_token());
  api::FinishBuildRequest request;
  request.set_build_id(build.build_id());
  request.mutable_canceled();
  for (const std::string& token : {std::string(), std::string("x"), other.build_token()}) {
    auto outcome = call<api::FinishBuildResponse>(socket_, wire::kBuildFinishBuild, token, request);
    EXPECT_EQ(outcome.status, 401);
    EXPECT_NE(outcome.error.find("unauthenticated"), std::string::npos) << outcome.error;
  }
  auto outcome = call<api::FinishBuildResponse>(socket_, wire::kBuildFinishBuild,
                                                build.build_token(), request);
  EXPECT_TRUE(outcome.ok) << outcome.error;
  // Its client is told to stop.
  api::ReportBuildHealthRequest health;
  health.set_build_id(build.build_id());
  health.set_platform(api::BUILDER_PLATFORM_AMD64);
  auto cancelled = call<api::ReportBuildHealthResponse>(socket_, wire::kBuildReportBuildHealth,
                                                        build.build_token(), health);
  ASSERT_TRUE(cancelled.ok) << cancelled.error;
  EXPECT_LE(cancelled.response.cancels_at().seconds(), std::time(nullptr));
  // And it gets no machine any more.
  auto machine = connect(build, api::BUILDER_PLATFORM_AMD64);
  EXPECT_EQ(machine.status, 400) << machine.error;
  EXPECT_NE(machine.error.find("failed_precondition"), std::string::npos) << machine.error;
}

TEST_F(ApiTest, TheFirstOutcomeStays) {
  auto build = create("once");
  api::FinishBuildRequest request;
  request.set_build_id(build.build_id());
  request.mutable_error()->set_error("it broke");
  EXPECT_TRUE(
      call<api::FinishBuildResponse>(socket_, wire::kBuildFinishBuild, build.build_token(), request)
          .ok);
  EXPECT_TRUE(finish(build).ok);
  api::ListBuildsRequest list;
  list.set_project_id("once");
  auto builds = call<api::ListBuildsResponse>(socket_, wire::kBuildListBuilds, "", list);
  ASSERT_EQ(builds.response.builds_size(), 1);
  EXPECT_EQ(builds.response.builds(0).status(), api::BUILD_STATUS_FAILED);
}

TEST_F(ApiTest, ListsInPages) {
  std::vector<std::string> made;
  for (int i = 0; i < 5; ++i) made.push_back(create("many").build_id());
  create("few");
  api::ListBuildsRequest list;
  list.set_project_id("many");
  list.set_page_size(2);
  std::vector<std::string> seen;
  for (;;) {
    auto page = call<api::ListBuildsResponse>(socket_, wire::kBuildListBuilds, "", list);
    ASSERT_TRUE(page.ok) << page.error;
    for (const auto& build : page.response.builds()) seen.push_back(build.id());
    if (page.response.next_page_token().empty()) break;
    list.set_page_token(page.response.next_page_token());
  }
  std::sort(made.begin(), made.end());
  std::sort(seen.begin(), seen.end());
  EXPECT_EQ(seen, made);
  list.set_page_token("nonsense");
  EXPECT_EQ(call<api::ListBuildsResponse>(socket_, wire::kBuildListBuilds, "", list).status, 400);
}

TEST_F(ApiTest, BadArgumentsAreNamed) {
  api::CreateBuildRequest request;
  for (const char* project : {"../etc", ".hidden", "a/b", "with space"}) {
    request.set_project_id(project);
    auto outcome = call<api::CreateBuildResponse>(socket_, wire::kBuildCreateBuild, "", request);
    EXPECT_EQ(outcome.status, 400) << project;
    EXPECT_NE(outcome.error.find("project id"), std::string::npos) << outcome.error;
  }
  auto build = create();
  EXPECT_EQ(connect(build, api::BUILDER_PLATFORM_UNSPECIFIED).status, 400);
  api::GetBuildRequest get;
  get.set_build_id("unknown");
  EXPECT_EQ(call<api::GetBuildResponse>(socket_, wire::kBuildGetBuild, "", get).status, 404);
  get.set_build_id(build.build_id());
  auto found = call<api::GetBuildResponse>(socket_, wire::kBuildGetBuild, "", get);
  EXPECT_EQ(found.response.project_id(), "p");
}

TEST_F(ApiTest, ReportsAreTaken) {
  auto build = create();
  api::ReportStatusRequest status;
  status.set_build_id(build.build_id());
  status.add_statuses()->add_vertexes()->set_name("step");
  EXPECT_TRUE(call<api::ReportStatusResponse>(socket_, wire::kBuildReportStatus,
                                              build.build_token(), status)
                  .ok);
  EXPECT_EQ(
      call<api::ReportStatusResponse>(socket_, wire::kBuildReportStatus, "wrong", status).status,
      401);
  api::ReportBuildContextRequest context;
  context.set_build_id(build.build_id());
  EXPECT_TRUE(call<api::ReportBuildContextResponse>(socket_, wire::kBuildReportBuildContext,
                                                    build.build_token(), context)
                  .ok);
  api::ReportTimingsRequest timings;
  timings.set_build_id(build.build_id());
  EXPECT_TRUE(call<api::ReportTimingsResponse>(socket_, wire::kBuildReportTimings,
                                               build.build_token(), timings)
                  .ok);
}

TEST_F(ApiTest, TheStatusStreamIsDrunkAndAnswered) {
  // More than a unary call may bring.
  std::string body;
  const std::string frame = std::string("\0\0\1\0\0", 5) + std::string(65536, 'x');
  while (body.size() < (20u << 20)) body += frame;
  Answer answer = http(socket_, "POST", std::string(wire::kBuildReportStatusStream),
                       {"Content-Type: application/connect+proto"}, body);
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(answer.headers["content-type"], "application/connect+proto");
  EXPECT_EQ(answer.body, std::string("\0\0\0\0\0\2\0\0\0\2{}", 12));
}

TEST_F(ApiTest, HostileBytesAreRefusedAndTheDaemonGoesOn) {
  Answer bad_proto = post(kCreate, "\xff\xff\xff");
  EXPECT_EQ(bad_proto.status, 400);
  EXPECT_EQ(bad_proto.headers["content-type"], "application/json");
  EXPECT_NE(bad_proto.body.find("invalid_argument"), std::string::npos);
  EXPECT_EQ(post(kCreate, "no gzip", {"Content-Encoding: gzip"}).status, 400);
  EXPECT_EQ(post(kCreate, "", {"Content-Encoding: br"}).status, 501);
  EXPECT_EQ(post(kCreate, "", {"Connect-Protocol-Version: 2"}).status, 400);
  EXPECT_EQ(post("/depot.cli.v1.BuildService/Nothing", "").status, 404);
  EXPECT_EQ(http(socket_, "GET", kCreate, {}, "").status, 405);
  EXPECT_EQ(http(socket_, "POST", kCreate, {"Content-Type: text/plain"}, "").status, 415);
  Answer large = post(kCreate, std::string(17 << 20, 'x'));
  EXPECT_EQ(large.status, 413);
  EXPECT_NE(large.body.find("resource_exhausted"), std::string::npos) << large.body;
  EXPECT_EQ(http(socket_, "POST", kCreate, {"Content-Length: 5"}, "12").status, 400);
  EXPECT_FALSE(create().build_id().empty());
}

TEST_F(ApiTest, SpeaksHttp2WithPriorKnowledge) {
  std::string output;
  ASSERT_EQ(
      run({"curl", "-sS", "--http2-prior-knowledge", "--unix-socket", socket_, "-o",
           dir_ / "answer", "-w", "%{http_version} %{http_code}", "-H",
           "Content-Type: application/proto", "--data-binary", "", "http://localhost" + kCreate},
          &output),
      0)
      << output;
  EXPECT_EQ(output, "2 200");
}

}  // namespace
}  // namespace depot::builderd_test

// Where saved images go, and what is said where there is no such place.
#include "machine/save.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "machine/build.h"
#include "machine/builds.h"
#include "solve/request.h"
#include "unit/http/standin.h"

namespace depot::machine {
namespace {

using base::Code;
using base::Hop;
using testing::ElementsAre;
using testing::HasSubstr;

class Save : public testing::Test {
 protected:
  std::shared_ptr<Client> client(const std::string& builder) {
    ClientOptions options;
    options.builder = builder;
    options.api_url = server_.url();
    options.token = "s3cret";
    options.project = "p1";
    auto made = Client::create(options);
    EXPECT_TRUE(made.ok()) << made.status().message();
    return *made;
  }
  static BuildOptions saving() {
    BuildOptions options;
    options.save = true;
    options.save_tags = {"v1"};
    return options;
  }

  test::Standin server_{{"--token", "s3cret", "--project", "p1"}};
};

TEST_F(Save, TheNamesOfABuildThatIsJoined) {
  EXPECT_THAT(saved_names("p1", "b1", {}), ElementsAre("registry.depot.dev/p1:b1"));
  EXPECT_THAT(saved_names("p1", "b1", {"v1", "v2"}),
              ElementsAre("registry.depot.dev/p1:b1", "registry.depot.dev/p1:v1",
                          "registry.depot.dev/p1:v2"));
}

TEST_F(Save, TheNamesThatTheApiGives) {
  server_.script({{"additional_tags", {{{"tag", "r.test/p1:build-1"}, {"push", true}}}}});
  auto build = Build::create(client("depot"), saving());
  ASSERT_TRUE(build.ok()) << build.status().message();
  auto options = server_.calls("CreateBuild")[0]["fields"]["options"][0];
  EXPECT_EQ(options["save"], true);
  EXPECT_EQ(options["save_tags"], nlohmann::json({"v1"}));
  solve::Request request;
  ASSERT_TRUE((*build)->add_save(request).ok()) << "the build says so, which is enough";
  EXPECT_THAT(request.saved_as, ElementsAre("r.test/p1:build-1"));
  EXPECT_TRUE((*build)->finish(Outcome::kSuccess, "").ok());
}

TEST_F(Save, ABuildThatIsJoinedIsAskedForItsProject) {
  server_.script({{"additional_tags", {{{"tag", "r.test/p1:build-1"}}}}});
  auto made = Build::create(client("depot"), saving());
  ASSERT_TRUE(made.ok());
  BuildOptions joining = saving();
  joining.build_id = (*made)->id();
  joining.token = (*made)->token().reveal();
  joining.project = "elsewhere";
  auto joined = Build::create(client("depot"), joining);
  ASSERT_TRUE(joined.ok()) << joined.status().message();
  EXPECT_EQ((*joined)->project(), "p1");
  EXPECT_EQ((*joined)->url(), (*made)->url());
  EXPECT_TRUE((*joined)->token_is_login());
  solve::Request request;
  ASSERT_TRUE((*joined)->add_save(request).ok());
  EXPECT_THAT(request.saved_as,
              ElementsAre("registry.depot.dev/p1:build-1", "registry.depot.dev/p1:v1"));
  // Its maker finishes it; what we saw of it is told when we are done.
  (*joined)->status_report()->add("");
  EXPECT_EQ(server_.calls("ReportStatusStream", 1).size(), 1u);
  (*joined)->status_report()->add("");  // within its period: waits
  EXPECT_TRUE((*joined)->finish(Outcome::kSuccess, "").ok());
  EXPECT_EQ(server_.calls("ReportStatusStream").size(), 2u);
  EXPECT_TRUE(server_.calls("FinishBuild").empty());
  joining.build_id = "another";
  EXPECT_EQ(Build::create(client("depot"), joining).status().code(), Code::kNotFound);
}

TEST_F(Save, AnApiThatNamesNoPlace) {
  auto build = Build::create(client("depot"), saving());
  EXPECT_EQ(build.status().code(), Code::kUnimplemented);
  EXPECT_EQ(build.status().hop(), Hop::kApi);
  auto finish = server_.calls("FinishBuild", 1);
  ASSERT_EQ(finish.size(), 1u);
  EXPECT_THAT(finish[0]["fields"]["error"]["error"].get<std::string>(), HasSubstr("no place"));
}

TEST_F(Save, APlaceThatIsNone) {
  server_.script({{"additional_tags", {{{"tag", "r.test/P1:?"}}}}});
  auto build = Build::create(client("depot"), saving());
  ASSERT_TRUE(build.ok());
  solve::Request request;
  EXPECT_EQ((*build)->add_save(request).code(), Code::kInternal);
}

TEST_F(Save, ARequestNeedsABuildThatWasMadeForIt) {
  auto build = Build::create(client("depot"), {});
  ASSERT_TRUE(build.ok());
  solve::Request request;
  EXPECT_TRUE((*build)->add_save(request).ok());
  request.save = true;
  EXPECT_EQ((*build)->add_save(request).code(), Code::kInvalidArgument);
}

TEST_F(Save, OnlyDepotHasARegistry) {
  for (const char* other : {"unix:///nowhere/at/all", "local"}) {
    for (const base::Status& status : {Build::create(client(other), saving()).status(),
                                       pull_info(*client(other), "build-1", {}).status(),
                                       pull_token(*client(other), {}).status()}) {
      EXPECT_EQ(status.code(), Code::kFailedPrecondition) << other;
      EXPECT_EQ(status.hop(), Hop::kUsage);
      EXPECT_THAT(status.message(), HasSubstr("only Depot"));
    }
  }
  auto list = list_builds(*client("unix:///nowhere/at/all"), 0, {});
  EXPECT_EQ(list.status().code(), Code::kFailedPrecondition);
  EXPECT_THAT(list.status().error().hint, HasSubstr("history"));
}

TEST_F(Save, TagsAreTags) {
  BuildOptions options;
  options.save_tags = {"a:b"};
  EXPECT_EQ(Build::create(client("depot"), options).status().code(), Code::kInvalidArgument);
  EXPECT_TRUE(server_.calls().empty());
}

TEST_F(Save, ListsComeInPages) {
  auto depot = client("depot");
  for (int i = 0; i < 5; ++i) {
    auto build = Build::create(depot, {});
    ASSERT_TRUE(build.ok());
    ASSERT_TRUE((*build)->finish(i == 3 ? Outcome::kFailed : Outcome::kSuccess, "").ok());
  }
  server_.script({{"page_size", 2}});
  auto all = list_builds(*depot, 0, {});
  ASSERT_TRUE(all.ok()) << all.status().message();
  ASSERT_EQ(all->size(), 5u);
  EXPECT_EQ((*all)[0].id, "build-5") << "the newest first";
  EXPECT_EQ((*all)[1].state, depotapi::BuildState::kFailed);
  EXPECT_GT((*all)[4].created, 0);
  EXPECT_GE((*all)[4].finished, (*all)[4].created);
  EXPECT_EQ(server_.calls("ListBuilds").size(), 3u);
  EXPECT_EQ(server_.calls("ListBuilds")[0]["fields"]["project_id"], "p1");
  EXPECT_EQ(list_builds(*depot, 3, {})->size(), 3u);
  EXPECT_EQ(list_builds(*depot, kMostBuilds + 1, {}).status().code(), Code::kInvalidArgument);
}

// A server that never comes to an end, with or without builds.
TEST_F(Save, ListsEnd) {
  auto depot = client("depot");
  auto answer = [&](const std::string& body) {
    server_.script({{"faults",
                     {{{"method", "ListBuilds"},
                       {"kind", "http"},
                       {"times", -1},
                       {"headers", {{"Content-Type", "application/proto"}}},
                       {"body", body}}}}});
    return list_builds(*depot, 10, {});
  };
  // next_page_token "x" alone; then with one build "b" on every page.
  EXPECT_EQ(answer("\x12\x01x")->size(), 0u);
  EXPECT_EQ(answer("\x0a\x03\x0a\x01"
                   "b\x12\x01x")
                ->size(),
            2u)
      << "the same page again";
}

TEST_F(Save, APullNeedsASavedBuild) {
  auto depot = client("depot");
  auto unknown = pull_info(*depot, "build-9", {});
  EXPECT_EQ(unknown.status().code(), Code::kNotFound);
  EXPECT_THAT(unknown.status().error().hint, HasSubstr("build-9"));
  nlohmann::json info = {{"reference", "r.test/p1:build-1"},
                         {"username", "x-token"},
                         {"password", "hunter2"},
                         {"options", {{{"command", 1}, {"tags", {"app:1"}}}}}};
  server_.script({{"pull_info", info}});
  auto unsaved = pull_info(*depot, "build-1", {});
  EXPECT_EQ(unsaved.status().code(), Code::kFailedPrecondition);
  EXPECT_THAT(unsaved.status().message(), HasSubstr("not saved"));
  info["options"] = {{{"command", 2}, {"target_name", "web"}, {"tags", {"app:1"}}, {"save", true}}};
  server_.script({{"pull_info", info}});
  auto pull = pull_info(*depot, "build-1", {});
  ASSERT_TRUE(pull.ok()) << pull.status().message();
  EXPECT_EQ(pull->reference, "r.test/p1:build-1");
  EXPECT_EQ(pull->username, "x-token");
  EXPECT_EQ(pull->password.reveal(), "hunter2");
  ASSERT_EQ(pull->targets.size(), 1u);
  EXPECT_EQ(pull->targets[0].name, "web");
  EXPECT_THAT(pull->targets[0].tags, ElementsAre("app:1"));
}

TEST_F(Save, APullTokenIsForAProject) {
  auto pull = pull_token(*client("depot"), {});
  ASSERT_TRUE(pull.ok()) << pull.status().message();
  EXPECT_EQ(pull->reference, "registry.depot.dev/p1");
  EXPECT_EQ(pull->username, "x-token");
  EXPECT_EQ(pull->password.reveal(), "pull-token");
  EXPECT_EQ(server_.calls("GetPullToken")[0]["fields"]["project_id"], "p1");
}

}  // namespace
}  // namespace depot::machine

#include "localbuilder/books.h"

#include <gtest/gtest.h>

namespace depot::localbuilder {
namespace {

using base::Code;

TEST(Books, ProjectsGoThereAndBack) {
  Project project;
  project.id = "p-1";
  project.directory = "/var/\xff/\"p";
  project.machines.push_back({"amd64", MachineState::kRunning, 1234, "v0.34.2", 2});
  project.machines.push_back({"arm64", MachineState::kStopped, 0, "", 0});
  project.builds = 2;
  project.last_used = 1'700'000'000'000'000'001;
  project.cache_bytes = int64_t{5} << 40;
  project.cache_complete = true;
  Project unknown;
  unknown.id = "q";
  auto back = parse_projects(format_projects({project, unknown}));
  ASSERT_TRUE(back.ok()) << back.status().message();
  ASSERT_EQ(back->size(), 2u);
  const Project& first = (*back)[0];
  EXPECT_EQ(first.id, "p-1");
  EXPECT_NE(first.directory.find("\"p"), std::string::npos);  // what is no UTF-8 is lost
  ASSERT_EQ(first.machines.size(), 2u);
  EXPECT_EQ(first.machines[0].architecture, "amd64");
  EXPECT_EQ(first.machines[0].state, MachineState::kRunning);
  EXPECT_EQ(first.machines[0].pid, 1234);
  EXPECT_EQ(first.machines[0].buildkit_version, "v0.34.2");
  EXPECT_EQ(first.machines[0].builds, 2);
  EXPECT_EQ(first.builds, 2);
  EXPECT_EQ(first.last_used, 1'700'000'000'000'000'001);
  EXPECT_EQ(first.cache_bytes, int64_t{5} << 40);
  EXPECT_TRUE(first.cache_complete);
  EXPECT_EQ((*back)[1].cache_bytes, -1);
  EXPECT_FALSE((*back)[1].cache_complete);
  EXPECT_TRUE(parse_projects(format_projects({}))->empty());
}

TEST(Books, ALaterVersionMaySayMore) {
  auto projects = parse_projects(
      R"({"mood": "good", "projects": [{"id": "p", "builds": "many", "machines": [7, {"pid": 1}]}]})");
  ASSERT_TRUE(projects.ok());
  EXPECT_EQ((*projects)[0].id, "p");
  EXPECT_EQ((*projects)[0].builds, 0);
  ASSERT_EQ((*projects)[0].machines.size(), 1u);
  EXPECT_EQ((*projects)[0].machines[0].state, MachineState::kUnknown);
  for (const char* bad : {"", "x", "[]", "{}", R"({"projects": 1})", R"({"projects": [1]})"}) {
    EXPECT_EQ(parse_projects(bad).status().code(), Code::kInternal) << bad;
    EXPECT_EQ(parse_number("n", bad).status().code(), Code::kInternal) << bad;
  }
  EXPECT_EQ(*parse_number("n", format_number("n", -7)), -7);
}

TEST(Books, QuestionsGoThereAndBack) {
  auto all = parse_question(format_question({}));
  ASSERT_TRUE(all.ok());
  EXPECT_FALSE(all->project || all->force);
  auto one = parse_question(format_question({"p", true, std::chrono::milliseconds(5)}));
  ASSERT_TRUE(one.ok());
  EXPECT_EQ(one->project, "p");
  EXPECT_TRUE(one->force);
  EXPECT_EQ(one->patience.count(), 5);
  // None of these may come to mean "all".
  for (const char* bad :
       {"", "[]", R"({"project": null})", R"({"project": 7})", R"({"project": ""})",
        R"({"project": "../x"})", R"({"project": ".trash-1"})", R"({"project": "a/b"})"}) {
    EXPECT_EQ(parse_question(bad).status().code(), Code::kInvalidArgument) << bad;
  }
}

TEST(Books, ErrorsGoThereAndBack) {
  base::Status status(Code::kFailedPrecondition, base::Hop::kBuilder, "2 builds use \"it\"");
  base::Status back = parse_error(409, format_error(status.with_hint("wait")));
  EXPECT_EQ(back.code(), Code::kFailedPrecondition);
  EXPECT_EQ(back.hop(), base::Hop::kBuilder);
  EXPECT_EQ(back.message(), status.message());
  EXPECT_EQ(back.error().hint, "wait");
  EXPECT_EQ(parse_error(404, R"({"code":"unimplemented","message":"no method"})").code(),
            Code::kUnimplemented);
  EXPECT_EQ(parse_error(403, "for the local user alone\n").code(), Code::kUnknown);
  EXPECT_EQ(parse_error(400, R"({"code":0,"message":"fine"})").code(), Code::kUnknown);
}

}  // namespace
}  // namespace depot::localbuilder

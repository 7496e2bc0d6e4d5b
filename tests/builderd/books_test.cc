// The books of the running daemon: list, stop, reset; by its API and by localbuilder/projects.h.
#include <sys/mount.h>

#include <algorithm>
#include <fstream>

#include "harness.h"
#include "localbuilder/projects.h"

namespace depot::builderd_test {
namespace {

namespace fs = std::filesystem;
using base::Code;
using localbuilder::MachineState;
using localbuilder::Project;

class BooksTest : public DaemonTest {
 protected:
  void TearDown() override {
    DaemonTest::TearDown();
    ::umount2((state_ / "projects/p/mount").c_str(), MNT_DETACH);
  }
  localbuilder::BooksOptions about(std::optional<std::string> project = std::nullopt,
                                   bool force = false) const {
    localbuilder::BooksOptions options;
    options.launch = launch_options();
    options.project = std::move(project);
    options.force = force;
    options.deadline = deadline();
    return options;
  }
  std::vector<Project> list() {
    auto projects = localbuilder::list_projects(about());
    EXPECT_TRUE(projects.ok()) << projects.status().message();
    return projects.ok() ? *projects : std::vector<Project>();
  }
  std::vector<std::string> in_projects() {
    std::vector<std::string> names;
    for (const auto& entry : fs::directory_iterator(state_ / "projects")) {
      names.push_back(entry.path().filename());
    }
    return names;
  }
  Answer post(const std::string& path, const std::string& body) {
    return http(socket_, "POST", path, {}, body);
  }
};

TEST_F(BooksTest, ListsWhatRunsAndWhatIsThere) {
  ASSERT_TRUE(start().ok()) << log();
  EXPECT_TRUE(list().empty());
  auto build = create("p");
  ASSERT_TRUE(connect(build, api::BUILDER_PLATFORM_AMD64).ok) << log();
  auto projects = list();
  ASSERT_EQ(projects.size(), 1u);
  EXPECT_EQ(projects[0].id, "p");
  EXPECT_EQ(projects[0].directory, (state_ / "projects/p").string());
  EXPECT_EQ(projects[0].builds, 1);
  EXPECT_GT(projects[0].last_used, 1'600'000'000'000'000'000);
  EXPECT_GT(projects[0].cache_bytes, 4096);
  EXPECT_TRUE(projects[0].cache_complete);
  ASSERT_EQ(projects[0].machines.size(), 1u);
  auto machine = projects[0].machines[0];
  EXPECT_EQ(machine.architecture, "amd64");
  EXPECT_EQ(machine.state, MachineState::kRunning);
  EXPECT_EQ(machine.builds, 1);
  EXPECT_EQ(machine.buildkit_version[0], 'v') << machine.buildkit_version;
  auto below = descendants(daemon_pid());
  EXPECT_EQ(std::count(below.begin(), below.end(), machine.pid), 1);

  ASSERT_TRUE(finish(build).ok);
  projects = list();
  EXPECT_EQ(projects.at(0).builds, 0);
  EXPECT_EQ(projects.at(0).machines.at(0).builds, 0);
  EXPECT_EQ(projects.at(0).machines.at(0).state, MachineState::kRunning) << "it idles";
}

TEST_F(BooksTest, StopsAndResets) {
  ASSERT_TRUE(start().ok()) << log();
  auto build = create("p"), other = create("q");
  ASSERT_TRUE(connect(build, api::BUILDER_PLATFORM_AMD64).ok) << log();
  ASSERT_TRUE(connect(other, api::BUILDER_PLATFORM_AMD64).ok) << log();
  auto refused = localbuilder::stop_machines(about());
  EXPECT_EQ(refused.status().code(), Code::kFailedPrecondition);
  EXPECT_EQ(localbuilder::reset_project(about("p")).status().code(), Code::kFailedPrecondition);
  EXPECT_EQ(list().at(0).machines.at(0).state, MachineState::kRunning);

  ASSERT_TRUE(finish(build).ok);
  auto process = open_process(static_cast<pid_t>(list().at(0).machines.at(0).pid));
  auto stopped = localbuilder::stop_machines(about("p"));
  ASSERT_TRUE(stopped.ok()) << stopped.status().message();
  EXPECT_EQ(*stopped, 1);
  EXPECT_TRUE(wait_for_end(process));
  auto projects = list();
  EXPECT_EQ(projects.at(0).machines.at(0).state, MachineState::kStopped);
  EXPECT_EQ(projects.at(0).machines.at(0).pid, 0);
  EXPECT_EQ(projects.at(1).machines.at(0).state, MachineState::kRunning);
  EXPECT_EQ(*localbuilder::stop_machines(about("p")), 0);
  EXPECT_EQ(*localbuilder::stop_machines(about("nobody")), 0);

  auto freed = localbuilder::reset_project(about("p"));
  ASSERT_TRUE(freed.ok()) << freed.status().message();
  EXPECT_GT(*freed, 4096);
  EXPECT_EQ(in_projects(), std::vector<std::string>{"q"});
  EXPECT_EQ(localbuilder::reset_project(about("p")).status().code(), Code::kNotFound);
  // A new one begins.
  EXPECT_TRUE(connect(create("p"), api::BUILDER_PLATFORM_AMD64).ok) << log();
  EXPECT_EQ(*localbuilder::stop_machines(about(std::nullopt, true)), 2);
  auto ended = connect(other, api::BUILDER_PLATFORM_AMD64);
  EXPECT_FALSE(ended.ok);
  EXPECT_NE(ended.error.find("stopped by force"), std::string::npos) << ended.error;
}

TEST_F(BooksTest, WithoutADaemonNothingIsStarted) {
  ASSERT_TRUE(start().ok()) << log();
  ASSERT_TRUE(connect(create("p"), api::BUILDER_PLATFORM_AMD64).ok) << log();
  auto daemon = open_process(daemon_pid());
  EXPECT_EQ(run({"kill", std::to_string(daemon_pid())}), 0);
  ASSERT_TRUE(wait_for_end(daemon)) << log();
  auto projects = list();
  ASSERT_EQ(projects.size(), 1u);
  EXPECT_EQ(projects[0].machines.at(0).state, MachineState::kStopped);
  EXPECT_GT(projects[0].cache_bytes, 4096);
  EXPECT_EQ(*localbuilder::stop_machines(about()), 0);
  EXPECT_GT(*localbuilder::reset_project(about("p")), 4096);
  EXPECT_TRUE(in_projects().empty());
  EXPECT_EQ(daemon_pid(), -1);
  // Of the reset nothing hinders the next one.
  EXPECT_TRUE(start().ok()) << log();
}

TEST_F(BooksTest, WhatIsMountedInACacheStays) {
  fs::create_directories(state_ / "projects/p/mount");
  fs::permissions(state_, fs::perms::owner_all);
  std::ofstream(state_ / "projects/p/file") << "x";
  ASSERT_EQ(::mount("none", (state_ / "projects/p/mount").c_str(), "tmpfs", 0, ""), 0);
  std::ofstream(state_ / "projects/p/mount/kept") << std::string(1 << 20, 'x');
  ASSERT_TRUE(start().ok()) << log();
  EXPECT_LT(list().at(0).cache_bytes, 1 << 20);
  auto freed = localbuilder::reset_project(about("p"));
  EXPECT_EQ(freed.status().code(), Code::kFailedPrecondition);
  EXPECT_NE(freed.status().message().find("mount"), std::string::npos) << freed.status().message();
  auto left = in_projects();
  ASSERT_EQ(left.size(), 1u);
  fs::path mounted = state_ / "projects" / left[0] / "mount";
  EXPECT_TRUE(fs::exists(mounted / "kept"));
  ASSERT_EQ(::umount(mounted.c_str()), 0);
}

TEST_F(BooksTest, WhatAResetLeftGoesAtTheNextStart) {
  fs::create_directories(state_ / "projects/.trash-0123/amd64/root");
  fs::create_directories(state_ / "projects/p/amd64");
  fs::permissions(state_, fs::perms::owner_all);
  // The daemon does not end under that work.
  ASSERT_TRUE(start({"--exit-after", "0.1"}).ok()) << log();
  for (pid_t one : processes_with(runtime_.string())) {
    EXPECT_TRUE(wait_for_end(open_process(one)));
  }
  EXPECT_EQ(in_projects(), std::vector<std::string>{"p"});
  EXPECT_NE(log().find("removed what a reset left"), std::string::npos) << log();
}

TEST_F(BooksTest, OddQuestionsAreRefused) {
  ASSERT_TRUE(start().ok()) << log();
  ASSERT_TRUE(connect(create("p"), api::BUILDER_PLATFORM_AMD64).ok) << log();
  EXPECT_EQ(http(socket_, "GET", "/libdepot/projects", {}, "").status, 405);
  for (const char* body : {"", "all", R"({"project": null, "force": true})",
                           R"({"project": "../p", "force": true})"}) {
    Answer answer = post("/libdepot/stop", body);
    EXPECT_EQ(answer.status, 400) << body;
    EXPECT_EQ(answer.headers["content-type"], "application/json");
  }
  EXPECT_EQ(post("/libdepot/reset", R"({"force": true})").status, 400) << "not all";
  EXPECT_EQ(post("/libdepot/stop", R"({"force": "yes"})").status, 409) << "that is no force";
  EXPECT_EQ(list().at(0).machines.at(0).state, MachineState::kRunning);
}

}  // namespace
}  // namespace depot::builderd_test

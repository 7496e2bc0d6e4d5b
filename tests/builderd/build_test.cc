// Builds through the daemon, as a Depot client does them.
#include <signal.h>

#include <fstream>

#include "harness.h"

namespace depot::builderd_test {
namespace {

namespace fs = std::filesystem;

class BuildTest : public DaemonTest {
 protected:
  void SetUp() override {
    DaemonTest::SetUp();
    ASSERT_TRUE(start().ok()) << log();
  }

  // tests/examples/hello with the root file system that it copies.
  fs::path context() {
    fs::path path = dir_ / "hello";
    if (fs::exists(path)) return path;
    fs::copy(fs::path(DEPOT_TEST_SOURCE) / "tests/examples/hello", path,
             fs::copy_options::recursive | fs::copy_options::copy_symlinks);
    std::string output;
    EXPECT_EQ(run({std::string(DEPOT_TEST_SOURCE) + "/packaging/rootfs", path / "rootfs"}, &output),
              0)
        << output;
    return path;
  }

  std::vector<std::string> build_arguments() {
    std::string path = context();
    return {"build",
            "--progress",
            "plain",
            "--frontend",
            "dockerfile.v0",
            "--local",
            "context=" + path,
            "--local",
            "dockerfile=" + path,
            "--output",
            "type=oci,dest=" + (dir_ / "hello.tar").string()};
  }
};

TEST_F(BuildTest, TheExampleBecomesAnImage) {
  auto build = create("shop");
  EXPECT_EQ(build.project_id(), "shop");
  auto machine = connect(build, api::BUILDER_PLATFORM_AMD64);
  ASSERT_TRUE(machine.ok) << machine.error;
  const auto& active = machine.response.active();
  std::string output;
  ASSERT_EQ(buildctl(active, build_arguments(), &output), 0) << output;
  EXPECT_GT(fs::file_size(dir_ / "hello.tar"), 100'000u);
  EXPECT_NE(output.find("it greets world"), std::string::npos) << output;
  output.clear();
  ASSERT_EQ(run({"tar", "-tf", dir_ / "hello.tar"}, &output), 0);
  EXPECT_NE(output.find("index.json"), std::string::npos) << output;

  api::ReportBuildHealthRequest health;
  health.set_build_id(build.build_id());
  health.set_platform(api::BUILDER_PLATFORM_AMD64);
  auto healthy = call<api::ReportBuildHealthResponse>(socket_, wire::kBuildReportBuildHealth,
                                                      build.build_token(), health);
  ASSERT_TRUE(healthy.ok) << healthy.error;
  EXPECT_GT(healthy.response.cancels_at().seconds(), std::time(nullptr) + 3600);
  auto finished = finish(build);
  EXPECT_TRUE(finished.ok) << finished.error;

  api::ListBuildsRequest list;
  list.set_project_id("shop");
  auto builds = call<api::ListBuildsResponse>(socket_, wire::kBuildListBuilds, "", list);
  ASSERT_TRUE(builds.ok) << builds.error;
  ASSERT_EQ(builds.response.builds_size(), 1);
  EXPECT_EQ(builds.response.builds(0).status(), api::BUILD_STATUS_FINISHED);

  // The machine is still there, and has it all in its cache.
  auto again = create("shop");
  auto same = connect(again, api::BUILDER_PLATFORM_AMD64);
  ASSERT_TRUE(same.ok) << same.error;
  EXPECT_EQ(same.response.active().endpoint(), active.endpoint());
  EXPECT_NE(same.response.active().cert().key(), active.cert().key());
  output.clear();
  ASSERT_EQ(buildctl(same.response.active(), build_arguments(), &output), 0) << output;
  EXPECT_NE(output.find("CACHED"), std::string::npos) << output;
}

TEST_F(BuildTest, ProjectsAndArchitecturesHaveMachinesOfTheirOwn) {
  auto build_a = create("a"), build_b = create("b");
  auto a = connect(build_a, api::BUILDER_PLATFORM_AMD64);
  auto b = connect(build_b, api::BUILDER_PLATFORM_AMD64);
  auto arm = connect(build_a, api::BUILDER_PLATFORM_ARM64);
  ASSERT_TRUE(a.ok && b.ok && arm.ok) << a.error << b.error << arm.error;
  const auto& to_a = a.response.active();
  auto to_b = b.response.active();
  EXPECT_NE(to_a.endpoint(), to_b.endpoint());
  EXPECT_NE(to_a.endpoint(), arm.response.active().endpoint());
  EXPECT_NE(to_a.server_name(), to_b.server_name());
  EXPECT_EQ(processes_with(runtime_.string() + "/machine/buildkitd.toml").size(), 3u);

  std::string output;
  EXPECT_EQ(buildctl(to_a, {"debug", "workers", "-v"}, &output), 0) << output;
  EXPECT_NE(output.find("overlayfs"), std::string::npos) << output;
  output.clear();
  EXPECT_EQ(buildctl(arm.response.active(), {"debug", "workers"}, &output), 0) << output;
  // The first platform of a worker is the one that is built for when nobody names another.
  EXPECT_LT(output.find("linux/arm64"), output.find("linux/amd64")) << output;
  // What opens one machine opens no other.
  *to_b.mutable_cert() = to_a.cert();
  EXPECT_NE(buildctl(to_b, {"debug", "workers"}, &output), 0) << output;
}

TEST_F(BuildTest, TheTlsKeyIsNowhereOnTheHost) {
  auto build = create();
  auto machine = connect(build, api::BUILDER_PLATFORM_AMD64);
  ASSERT_TRUE(machine.ok) << machine.error;
  EXPECT_TRUE(fs::is_empty(runtime_ / "machine"));
  for (const auto& entry : fs::recursive_directory_iterator(state_)) {
    EXPECT_NE(entry.path().extension(), ".pem") << entry.path();
  }
}

TEST_F(BuildTest, AMachineThatDiesIsStartedAgainWithItsCache) {
  auto build = create();
  auto first = connect(build, api::BUILDER_PLATFORM_AMD64);
  ASSERT_TRUE(first.ok) << first.error;
  std::string output;
  ASSERT_EQ(buildctl(first.response.active(), build_arguments(), &output), 0) << output;
  auto pids = processes_with(runtime_.string() + "/machine/buildkitd.toml");
  ASSERT_EQ(pids.size(), 1u);
  // Process 1 of the machine goes after it: its pidfd is the daemon's own news.
  std::vector<base::UniqueFd> processes;
  for (pid_t one : descendants(daemon_pid())) processes.push_back(open_process(one));
  ::kill(pids[0], SIGKILL);
  for (const auto& one : processes) EXPECT_TRUE(wait_for_end(one));
  Outcome<api::GetBuildKitConnectionResponse> second;
  second = connect(build, api::BUILDER_PLATFORM_AMD64);
  // The request may have come before the daemon took note of the death.
  if (second.ok && second.response.active().server_name() == first.response.active().server_name())
    second = connect(build, api::BUILDER_PLATFORM_AMD64);
  ASSERT_TRUE(second.ok) << second.error;
  EXPECT_NE(second.response.active().server_name(), first.response.active().server_name());
  output.clear();
  ASSERT_EQ(buildctl(second.response.active(), build_arguments(), &output), 0) << output;
  EXPECT_NE(output.find("CACHED"), std::string::npos) << output;
}

TEST_F(BuildTest, KilledDaemonTakesEverythingWithItAndTheNextGoesOn) {
  auto build = create();
  auto first = connect(build, api::BUILDER_PLATFORM_AMD64);
  ASSERT_TRUE(first.ok) << first.error;
  std::string output;
  ASSERT_EQ(buildctl(first.response.active(), build_arguments(), &output), 0) << output;
  pid_t pid = daemon_pid();
  std::vector<base::UniqueFd> processes;
  for (pid_t one : descendants(pid)) processes.push_back(open_process(one));
  ASSERT_GE(processes.size(), 2u);
  processes.push_back(open_process(pid));
  ::kill(pid, SIGKILL);
  for (const auto& one : processes) EXPECT_TRUE(wait_for_end(one));
  EXPECT_TRUE(fs::exists(socket_));  // which only a new daemon removes

  auto again = localbuilder::ensure_running(launch_options(), base::Cancel::never(), deadline());
  ASSERT_TRUE(again.ok()) << again.status().message();
  EXPECT_NE(daemon_pid(), pid);
  // The build and its token are still good, and so is the cache.
  auto second = connect(build, api::BUILDER_PLATFORM_AMD64);
  ASSERT_TRUE(second.ok) << second.error;
  output.clear();
  ASSERT_EQ(buildctl(second.response.active(), build_arguments(), &output), 0) << output;
  EXPECT_NE(output.find("CACHED"), std::string::npos) << output;
  EXPECT_TRUE(finish(build).ok);
}

}  // namespace
}  // namespace depot::builderd_test

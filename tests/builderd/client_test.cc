// The library's own client on the running daemon: what becomes of a build when the daemon goes.
#include <signal.h>

#include "harness.h"
#include "machine/machine.h"

namespace depot::builderd_test {
namespace {

class ClientTest : public DaemonTest {
 protected:
  std::shared_ptr<machine::Client> client() {
    auto launch = launch_options();
    auto variables = launch.environment.all();
    variables["LIBDEPOT_RUNTIME_DIR"] = runtime_;
    machine::ClientOptions options;
    options.builder = "local";
    options.project = "p";
    options.builderd_path = launch.builderd_path;
    options.engine_dir = launch.engine_dir;
    options.state_dir = launch.state_dir;
    options.environment = base::Environment(variables);
    auto made = machine::Client::create(options);
    EXPECT_TRUE(made.ok());
    return *made;
  }
  std::shared_ptr<machine::Build> build(machine::BuildOptions options = {}) {
    options.timeout = std::chrono::seconds(90);
    auto made = machine::Build::create(client(), options);
    EXPECT_TRUE(made.ok()) << made.status().message();
    return made.ok() ? *made : nullptr;
  }
  void end_daemon() {
    auto process = open_process(daemon_pid());
    ::kill(daemon_pid(), SIGTERM);
    ASSERT_TRUE(wait_for_end(process)) << log();
  }
  // Of the newest build of the project.
  api::BuildStatus status() {
    api::ListBuildsRequest request;
    request.set_project_id("p");
    auto list = call<api::ListBuildsResponse>(socket_, wire::kBuildListBuilds, "", request);
    return list.ok && list.response.builds_size() > 0 ? list.response.builds(0).status()
                                                      : api::BUILD_STATUS_UNSPECIFIED;
  }
};

TEST_F(ClientTest, ABuildGoesOnWhenTheDaemonHasEnded) {
  auto made = build();
  ASSERT_TRUE(made);
  end_daemon();
  auto acquired = machine::Machine::acquire(made, "", {});
  ASSERT_TRUE(acquired.ok()) << acquired.status().message();
  (*acquired)->release();
  end_daemon();
  base::Status finished = made->finish(machine::Outcome::kSuccess, "");
  EXPECT_TRUE(finished.ok()) << finished.message();
  EXPECT_EQ(status(), api::BUILD_STATUS_FINISHED);
}

TEST_F(ClientTest, ABuildThatIsDroppedIsReportedAsFailed) {
  auto made = build();
  ASSERT_TRUE(made);
  EXPECT_EQ(status(), api::BUILD_STATUS_RUNNING);
  made.reset();
  auto end = deadline();
  while (status() == api::BUILD_STATUS_RUNNING && std::chrono::steady_clock::now() < end) {
  }
  EXPECT_EQ(status(), api::BUILD_STATUS_FAILED);
}

TEST_F(ClientTest, WhoJoinsABuildBringsItsToken) {
  ASSERT_TRUE(start().ok()) << log();
  auto created = create();
  machine::BuildOptions options;
  options.build_id = created.build_id();
  options.token = created.build_token();
  auto acquired = machine::Machine::acquire(build(options), "", {});
  EXPECT_TRUE(acquired.ok()) << acquired.status().message();
  options.token = "another";
  acquired = machine::Machine::acquire(build(options), "", {});
  EXPECT_EQ(acquired.status().code(), base::Code::kUnauthenticated);
}

}  // namespace
}  // namespace depot::builderd_test

// The daemon's own life: starts that race, ends, refusals at start.
#include <fcntl.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "harness.h"

namespace depot::builderd_test {
namespace {

namespace fs = std::filesystem;

class LifeTest : public DaemonTest {
 protected:
  void script(const std::string& name, const std::string& text) {
    std::ofstream(dir_ / name) << text;
    fs::permissions(dir_ / name, fs::perms::owner_all);
    buildkitd_ = dir_ / name;
  }
  void mount_on_state(const char* type, const std::string& options, unsigned long flags = 0) {
    fs::create_directories(state_);
    ASSERT_EQ(::mount(type, state_.c_str(), type, flags, options.c_str()), 0) << strerror(errno);
    fs::permissions(state_, fs::perms::owner_all);
  }
  void TearDown() override {
    DaemonTest::TearDown();
    ::umount2(state_.c_str(), MNT_DETACH);
    std::error_code ignored;
    fs::remove_all(dir_, ignored);
  }
};

TEST_F(LifeTest, TenProcessesAtOnceStartOneDaemon) {
  int ends[2];
  ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
  std::vector<pid_t> children;
  for (int i = 0; i < 10; ++i) {
    pid_t child = ::fork();
    ASSERT_GE(child, 0);
    if (child == 0) {
      auto socket =
          localbuilder::ensure_running(launch_options(), base::Cancel::never(), deadline());
      pid_t pid = socket.ok() ? daemon_pid() : -1;
      if (!socket.ok()) std::fprintf(stderr, "%s\n", socket.status().message().c_str());
      ssize_t n = ::write(ends[1], &pid, sizeof pid);
      ::_exit(n == sizeof pid && socket.ok() ? 0 : 1);
    }
    children.push_back(child);
  }
  pid_t daemon = daemon_pid();
  for (pid_t child : children) {
    int status = 0;
    ::waitpid(child, &status, 0);
    EXPECT_EQ(status, 0);
    pid_t seen = -1;
    ASSERT_EQ(::read(ends[0], &seen, sizeof seen), static_cast<ssize_t>(sizeof seen));
    if (daemon <= 0) daemon = seen;
    EXPECT_EQ(seen, daemon);
  }
  ::close(ends[0]);
  ::close(ends[1]);
  EXPECT_EQ(processes_with(runtime_.string()), std::vector<pid_t>{daemon});
}

TEST_F(LifeTest, TwoDaemonsOfOneStateDirectoryAreRefused) {
  ASSERT_TRUE(start().ok()) << log();
  fs::path first = runtime_;
  runtime_ = dir_ / "other";
  base::Status second = start();
  EXPECT_EQ(second.code(), base::Code::kFailedPrecondition);
  EXPECT_NE(second.message().find(state_), std::string::npos) << second.message();
  EXPECT_FALSE(second.ok() || second.error().hint.empty());
  runtime_ = first;
}

TEST_F(LifeTest, WithoutWorkEverythingEndsByItself) {
  ASSERT_TRUE(start({"--idle-timeout", "0.1", "--exit-after", "0.1"}).ok()) << log();
  auto build = create();
  auto machine = connect(build, api::BUILDER_PLATFORM_AMD64);
  ASSERT_TRUE(machine.ok) << machine.error;
  pid_t pid = daemon_pid();
  std::vector<base::UniqueFd> processes;
  for (pid_t one : descendants(pid)) processes.push_back(open_process(one));
  EXPECT_GE(processes.size(), 2u);
  processes.push_back(open_process(pid));
  ASSERT_TRUE(finish(build).ok);
  expect_nothing_left(processes);
  EXPECT_NE(log().find("ending: nothing to do"), std::string::npos) << log();
}

TEST_F(LifeTest, ASilentBuildLosesItsMachine) {
  ASSERT_TRUE(start({"--lease-expiry", "0.2", "--idle-timeout", "0"}).ok()) << log();
  auto build = create();
  auto machine = connect(build, api::BUILDER_PLATFORM_AMD64);
  ASSERT_TRUE(machine.ok) << machine.error;
  std::vector<base::UniqueFd> processes;
  for (pid_t one : descendants(daemon_pid())) processes.push_back(open_process(one));
  for (const auto& one : processes) EXPECT_TRUE(wait_for_end(one));
  EXPECT_GT(daemon_pid(), 0);
  EXPECT_NE(log().find("has been silent and loses machine p/amd64"), std::string::npos) << log();
  // Its client was only asleep: it gets another.
  EXPECT_TRUE(connect(build, api::BUILDER_PLATFORM_AMD64).ok);
}

TEST_F(LifeTest, AnIdleDaemonRetiresAndABusyOneDoesNot) {
  ASSERT_TRUE(start().ok()) << log();
  auto build = create();
  EXPECT_EQ(http(socket_, "POST", "/libdepot/retire", {}, "").status, 409);
  ASSERT_TRUE(finish(build).ok);
  base::UniqueFd process = open_process(daemon_pid());
  EXPECT_EQ(http(socket_, "POST", "/libdepot/retire", {}, "").status, 200);
  EXPECT_TRUE(wait_for_end(process));
}

TEST_F(LifeTest, OverTcpATokenIsWanted) {
  std::ofstream(dir_ / "token") << "a-token-of-some-length\n";
  ASSERT_TRUE(start({"--listen", "127.0.0.1:0", "--token-file", dir_ / "token"}).ok()) << log();
  std::string text = log();
  const std::string before = "listening on TCP port ";
  size_t at = text.find(before);
  ASSERT_NE(at, std::string::npos) << text;
  std::string url =
      "http://127.0.0.1:" + std::to_string(std::stoi(text.substr(at + before.size())));
  auto status_of = [&](const std::string& path, const std::string& header) {
    std::string output;
    run({"curl", "-s", "-o", dir_ / "answer", "-w", "%{http_code}", "-H", header, "-H",
         "Content-Type: application/proto", "--data-binary", "", url + path},
        &output);
    return output;
  };
  std::string create_path(wire::kBuildCreateBuild);
  EXPECT_EQ(status_of(create_path, "X: y"), "401");
  EXPECT_EQ(status_of(create_path, "Authorization: Bearer a-token-of-some-lengtH"), "401");
  EXPECT_EQ(status_of(create_path, "Authorization: Bearer a-token-of-some-length"), "200");
  for (const char* path : {"retire", "projects", "stop", "reset"}) {
    EXPECT_EQ(
        status_of(std::string("/libdepot/") + path, "Authorization: Bearer a-token-of-some-length"),
        "403");
  }
}

TEST_F(LifeTest, AnOldEngineIsRefused) {
  script("buildkitd", "#!/bin/sh\necho 'buildkitd github.com/moby/buildkit v0.12.4 833949d'\n");
  base::Status status = start();
  EXPECT_EQ(status.code(), base::Code::kFailedPrecondition);
  EXPECT_NE(status.message().find("0.12.4"), std::string::npos) << status.message();
  EXPECT_NE(status.message().find("0.12.5"), std::string::npos) << status.message();
}

TEST_F(LifeTest, AnEngineOfUnknownVersionIsRefused) {
  script("buildkitd", "#!/bin/sh\necho 'buildkitd unknown'\n");
  EXPECT_EQ(start().code(), base::Code::kFailedPrecondition);
}

TEST_F(LifeTest, AnEngineThatCannotRunIsAnErrorWithItsLastWords) {
  script("buildkitd",
         "#!/bin/sh\n[ \"$1\" = --version ] && echo 'buildkitd x v0.34.2 y' && exit 0\n"
         "echo 'buildkitd: no luck today' >&2\nexit 3\n");
  ASSERT_TRUE(start().ok()) << log();
  auto build = create();
  auto machine = connect(build, api::BUILDER_PLATFORM_AMD64);
  EXPECT_EQ(machine.status, 503);
  EXPECT_NE(machine.error.find("\"unavailable\""), std::string::npos) << machine.error;
  EXPECT_NE(machine.error.find("exit code 3"), std::string::npos) << machine.error;
  EXPECT_NE(machine.error.find("no luck today"), std::string::npos) << machine.error;
}

TEST_F(LifeTest, NoSilentFallToTheNativeSnapshotter) {
  fs::create_directories(dir_ / "lower");
  fs::create_directories(dir_ / "upper");
  fs::create_directories(dir_ / "work");
  std::string base = dir_;
  // An overlay takes no other overlay as its upper directory.
  mount_on_state("overlay", "lowerdir=" + base + "/lower,upperdir=" + base +
                                "/upper,workdir=" + base + "/work");
  base::Status status = start();
  EXPECT_EQ(status.code(), base::Code::kFailedPrecondition);
  EXPECT_NE(status.message().find("overlayfs does not work on " + state_.string()),
            std::string::npos)
      << status.message();
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.error().hint.find("--snapshotter native"), std::string::npos);

  ASSERT_TRUE(start({"--snapshotter", "native"}).ok()) << log();
  auto machine = connect(create(), api::BUILDER_PLATFORM_AMD64);
  ASSERT_TRUE(machine.ok) << machine.error;
  std::string output;
  EXPECT_EQ(buildctl(machine.response.active(), {"debug", "workers", "-v"}, &output), 0) << output;
  EXPECT_NE(output.find("native"), std::string::npos) << output;
}

TEST_F(LifeTest, ADamagedDatabaseIsMovedAside) {
  fs::create_directories(state_);
  fs::permissions(state_, fs::perms::owner_all);
  std::ofstream(state_ / "builderd.db") << std::string(8192, 'x');
  ASSERT_TRUE(start().ok()) << log();
  auto build = create();
  EXPECT_TRUE(finish(build).ok);
  EXPECT_NE(log().find("the database is damaged"), std::string::npos) << log();
  int aside = 0;
  for (const auto& entry : fs::directory_iterator(state_)) {
    aside += entry.path().filename().string().rfind("builderd.db.damaged-", 0) == 0;
  }
  EXPECT_EQ(aside, 1);
}

TEST_F(LifeTest, AStateDirectoryThatCannotBeWrittenIsNamed) {
  mount_on_state("tmpfs", "mode=0700");
  ASSERT_EQ(::mount(nullptr, state_.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, "mode=0700"), 0);
  base::Status status = start();
  ASSERT_FALSE(status.ok());
  EXPECT_NE(status.message().find(state_), std::string::npos) << status.message();
  EXPECT_NE(status.message().find("Read-only"), std::string::npos) << status.message();
}

TEST_F(LifeTest, AFullDiskFailsTheCallAndNotTheDaemon) {
  mount_on_state("tmpfs", "mode=0700,size=1m");
  ASSERT_TRUE(start().ok()) << log();
  EXPECT_FALSE(create().build_id().empty());
  {
    std::ofstream filler(state_ / "filler", std::ios::binary);
    std::string block(4096, 'x');
    while (filler.write(block.data(), static_cast<std::streamsize>(block.size())).flush()) {
    }
  }
  api::CreateBuildRequest request;
  // The log of the database has room for some.
  Outcome<api::CreateBuildResponse> outcome;
  for (int i = 0; i < 500; ++i) {
    outcome = call<api::CreateBuildResponse>(socket_, wire::kBuildCreateBuild, "", request);
    if (!outcome.ok) break;
  }
  EXPECT_EQ(outcome.status, 429) << outcome.error;
  EXPECT_NE(outcome.error.find("resource_exhausted"), std::string::npos) << outcome.error;
  fs::remove(state_ / "filler");
  EXPECT_FALSE(create().build_id().empty());
}

TEST_F(LifeTest, ARuntimeDirectoryOfOthersIsRefused) {
  fs::create_directories(runtime_);
  fs::permissions(runtime_, fs::perms::owner_all | fs::perms::others_all);
  EXPECT_EQ(start().code(), base::Code::kPermissionDenied);
  fs::permissions(runtime_, fs::perms::owner_all);
}

}  // namespace
}  // namespace depot::builderd_test

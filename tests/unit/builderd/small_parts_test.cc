// Leases, versions, configuration, logs, leftovers, the loop.
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>

#include "base/epoll_loop.h"
#include "builderd/buildkitd_config.h"
#include "builderd/engine_check.h"
#include "builderd/leases.h"
#include "builderd/leftovers.h"
#include "builderd/log_file.h"
#include "builderd/machine_init.h"

namespace depot::builderd {
namespace {

using namespace std::chrono_literals;

class HandClock : public base::Clock {
 public:
  std::chrono::steady_clock::time_point now() const override { return now_; }
  std::chrono::system_clock::time_point wall() const override { return {}; }
  std::chrono::steady_clock::time_point now_{1h};
};

TEST(Leases, SilenceLosesThemAndWordsKeepThem) {
  HandClock clock;
  Leases leases(clock, 30s);
  leases.hold("a", "m");
  leases.hold("b", "m");
  EXPECT_EQ(leases.next_expiry(), clock.now_ + 30s);
  clock.now_ += 29s;
  EXPECT_TRUE(leases.expire().empty());
  EXPECT_TRUE(leases.renew("b", "m"));
  EXPECT_FALSE(leases.renew("b", "other"));
  clock.now_ += 1s;
  auto expired = leases.expire();
  ASSERT_EQ(expired.size(), 1u);
  EXPECT_EQ(expired[0].build, "a");
  EXPECT_TRUE(leases.held("m"));
  EXPECT_FALSE(leases.renew("a", "m"));
  EXPECT_TRUE(leases.release("b"));
  EXPECT_FALSE(leases.release("b"));
  EXPECT_FALSE(leases.held("m"));
  EXPECT_FALSE(leases.next_expiry());
}

TEST(Leases, TellWhoHasWhat) {
  HandClock clock;
  Leases leases(clock, 30s);
  leases.hold("a", "p/amd64");
  leases.hold("a", "p/arm64");
  leases.hold("b", "p/amd64");
  EXPECT_EQ(leases.machines_of("a"), (std::vector<std::string>{"p/amd64", "p/arm64"}));
  EXPECT_EQ(leases.builds_on("p/amd64"), (std::vector<std::string>{"a", "b"}));
  EXPECT_EQ(leases.all().size(), 3u);
  EXPECT_TRUE(leases.release("a"));
  EXPECT_TRUE(leases.machines_of("a").empty() && leases.builds_on("p/arm64").empty());
  ASSERT_EQ(leases.all().size(), 1u);
  EXPECT_EQ(leases.all()[0].build, "b");
}

TEST(EngineCheck, FindsVersions) {
  EXPECT_EQ(parse_version("buildkitd github.com/moby/buildkit v0.12.5 abc"), (Version{0, 12, 5}));
  EXPECT_EQ(parse_version("buildkitd github.com/moby/buildkit 0.34.2-rc1"), (Version{0, 34, 2}));
  EXPECT_EQ(parse_version("buildkitd github.com/moby/buildkit 0.0.0+unknown"), std::nullopt);
  EXPECT_EQ(parse_version("x1.2.3"), std::nullopt);
  EXPECT_EQ(parse_version("v1.2"), std::nullopt);
  EXPECT_EQ(parse_version("v99999999999.1.1"), std::nullopt);
  EXPECT_EQ(parse_version(""), std::nullopt);
  EXPECT_LT((Version{0, 12, 4}), kOldestBuildkit);
  EXPECT_LT(kOldestBuildkit, (Version{0, 13, 0}));
}

TEST(BuildkitdConfig, QuotesWhatItIsGiven) {
  BuildkitdConfig config;
  config.root = "/a\"b\\c\nd";
  config.snapshotter = "overlayfs";
  std::string text = render_config(config);
  EXPECT_NE(text.find(R"(root = "/a\"b\\c\u000ad")"), std::string::npos) << text;
  EXPECT_NE(text.find("snapshotter = \"overlayfs\""), std::string::npos);
  EXPECT_EQ(text.find("platforms"), std::string::npos);
}

TEST(MachineInit, SetupGoesThereAndBack) {
  MachineSetup setup;
  setup.private_dir = "/p";
  setup.config = std::string("a\0b", 3);
  setup.server_key = base::Secret("key");
  setup.environment = {"A=1", ""};
  base::Secret packet = encode_setup(setup);
  std::string bytes(packet.reveal());
  auto back = decode_setup(bytes);
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(back->config, setup.config);
  EXPECT_EQ(back->server_key.reveal(), "key");
  EXPECT_EQ(back->environment, setup.environment);
  size_t whole = 0;
  for (size_t n = 0; n < bytes.size(); ++n) whole += decode_setup(bytes.substr(0, n)).ok();
  EXPECT_EQ(whole, 2u);  // without the last, and without both of the environment
}

TEST(LogFile, StaysBoundedAndKeepsItsTail) {
  char name[] = "/tmp/depot-log-XXXXXX";
  ASSERT_NE(::mkdtemp(name), nullptr);
  std::filesystem::path path = std::filesystem::path(name) / "log";
  LogFile log(path, 10'000);
  for (int i = 0; i < 1000; ++i) log.line(base::LogLevel::kInfo, "line\n" + std::to_string(i));
  EXPECT_LE(std::filesystem::file_size(path), 10'000u);
  EXPECT_LE(std::filesystem::file_size(path.string() + ".1"), 10'000u);
  std::string tail = log.tail();
  EXPECT_NE(tail.find("info line 999\n"), std::string::npos);
  EXPECT_LE(tail.size(), 4096u);
  EXPECT_EQ(tail.substr(0, 2), "20");  // begins at a line, with its date
  std::filesystem::remove_all(name);
}

TEST(Leftovers, KillsTheProcessItMeansAndNoOther) {
  pid_t child = ::fork();
  if (child == 0) {
    for (;;) ::pause();
  }
  uint64_t started = start_time_of(child);
  EXPECT_NE(started, 0u);
  // Another process of the same number is left alone.
  EXPECT_TRUE(kill_leftover(child, started + 1, 10s).ok());
  EXPECT_EQ(start_time_of(child), started);
  EXPECT_TRUE(kill_leftover(child, started, 10s).ok());
  int status = 0;
  ::waitpid(child, &status, 0);
  EXPECT_TRUE(WIFSIGNALED(status));
  EXPECT_EQ(start_time_of(child), 0u);
  EXPECT_TRUE(kill_leftover(child, started, 10s).ok());
  EXPECT_TRUE(kill_leftover(-1, 5, 10s).ok());
}

TEST(Leftovers, RemovesWhatResetsLeft) {
  namespace fs = std::filesystem;
  char name[] = "/tmp/depot-left-XXXXXX";
  ASSERT_NE(::mkdtemp(name), nullptr);
  fs::path projects = fs::path(name) / "projects";
  fs::create_directories(projects / ".trash-1/amd64/root");
  fs::create_directories(projects / ".trash-2");
  fs::create_directories(projects / "p/amd64");
  fs::create_directory_symlink(projects / "p", projects / ".trash-3");
  std::string log;
  auto sink = [&](base::LogLevel, std::string_view line) { log += line; };
  remove_set_aside(name, base::Cancel::never(), sink);
  EXPECT_NE(log.find("removed what a reset left"), std::string::npos);
  EXPECT_TRUE(fs::exists(projects / "p/amd64"));
  for (const char* gone : {".trash-1", ".trash-2", ".trash-3"}) {
    EXPECT_FALSE(fs::is_symlink(projects / gone) || fs::exists(projects / gone)) << gone;
  }
  remove_set_aside("/nonexistent", base::Cancel::never(), sink);
  fs::remove_all(name);
}

TEST(EpollLoop, RunsTasksTimersAndDescriptors) {
  base::EpollLoop loop;
  int ends[2];
  ASSERT_EQ(::pipe(ends), 0);
  std::string order;
  loop.watch(ends[0], EPOLLIN, [&](uint32_t) {
    order += "f";
    loop.unwatch(ends[0]);
    loop.run_after(0ms, [&] {
      order += "t";
      loop.stop();
    });
  });
  auto never = loop.run_after(0ms, [&] { order += "X"; });
  loop.cancel_timer(never);
  loop.post([&] {
    order += "p";
    EXPECT_TRUE(loop.on_loop_thread());
    EXPECT_EQ(::write(ends[1], "x", 1), 1);
  });
  loop.run();
  EXPECT_EQ(order, "pft");
  ::close(ends[0]);
  ::close(ends[1]);
}

}  // namespace
}  // namespace depot::builderd

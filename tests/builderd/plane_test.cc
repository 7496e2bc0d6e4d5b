// The control plane in this process, with real machines and a clock that the test turns.
#include "builderd/control_plane.h"

#include <filesystem>

#include "harness.h"

namespace depot::builderd_test {
namespace {

using namespace std::chrono_literals;
using builderd::BuildRecord;
using builderd::MachineAccess;

class HandClock : public base::Clock {
 public:
  std::chrono::steady_clock::time_point now() const override { return now_; }
  std::chrono::system_clock::time_point wall() const override { return wall_; }
  void advance(std::chrono::seconds by) {
    now_ += by;
    wall_ += by;
  }

 private:
  std::chrono::steady_clock::time_point now_{1000h};
  std::chrono::system_clock::time_point wall_{500000h};
};

class PlaneTest : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/depot-plane-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    dir_ = name;
    builderd::ControlPlaneOptions options;
    options.state_dir = dir_;
    options.private_dir = dir_ / "machine";
    options.engine = {engine_dir() / "buildkitd", engine_dir() / "runc"};
    options.force_notice = 200ms;
    options.environment = {"PATH=/usr/sbin:/usr/bin:/sbin:/bin"};
    auto sink = [this](base::LogLevel, std::string_view line) {
      log_ += std::string(line) + "\n";
      for (auto it = waits_.begin(); it != waits_.end();) {
        if (line.find(it->first) == std::string_view::npos) {
          ++it;
          continue;
        }
        loop_.post(std::move(it->second));
        it = waits_.erase(it);
      }
    };
    auto database = builderd::Database::open(dir_ / "db", sink);
    ASSERT_TRUE(database.ok());
    plane_ = std::make_unique<builderd::ControlPlane>(loop_, clock_, options, std::move(*database),
                                                      sink);
    // A test that hangs fails by this, with its log.
    loop_.run_after(90s, [this] {
      ADD_FAILURE() << "nothing happened any more:\n" << log_;
      loop_.stop();
    });
  }
  void TearDown() override {
    plane_.reset();
    std::error_code ignored;
    std::filesystem::remove_all(dir_, ignored);
  }

  BuildRecord create(const std::string& project) {
    auto made = plane_->create_build(project);
    EXPECT_TRUE(made.ok());
    return *plane_->find_build(made->id);
  }
  // Asks until there is a machine.
  void acquire(const BuildRecord& build, std::function<void()> then) {
    plane_->connect(build, "amd64",
                    [this, build, then](base::Result<std::optional<MachineAccess>> access) {
                      ASSERT_TRUE(access.ok()) << access.status().message();
                      if (*access) return loop_.post(then);
                      loop_.post([this, build, then] { acquire(build, then); });
                    });
  }
  // Once a line with `text` is logged.
  void when(const std::string& text, std::function<void()> then) {
    waits_.emplace_back(text, std::move(then));
  }
  void end() {
    plane_->shut_down([this] { loop_.stop(); });
  }
  bool logged(const std::string& text) const { return log_.find(text) != std::string::npos; }

  std::filesystem::path dir_;
  HandClock clock_;
  base::EpollLoop loop_;
  std::string log_;
  std::vector<std::pair<std::string, std::function<void()>>> waits_;
  std::unique_ptr<builderd::ControlPlane> plane_;
};

TEST_F(PlaneTest, SilenceCostsTheMachineAndReportsKeepIt) {
  ASSERT_TRUE(plane_->start(nullptr).ok());
  auto talks = create("talks"), silent = create("silent");
  acquire(talks, [&] {
    acquire(silent, [&] {
      clock_.advance(29s);
      EXPECT_TRUE(plane_->report_health(talks, "amd64").ok());
      EXPECT_EQ(plane_->live_builds(), 2u);
      EXPECT_FALSE(logged("loses machine"));
      clock_.advance(2s);  // 31 s of silence
      EXPECT_TRUE(plane_->report_health(talks, "amd64").ok());
      EXPECT_TRUE(logged("loses machine silent/amd64"));
      EXPECT_EQ(plane_->live_builds(), 1u);
      EXPECT_FALSE(logged("stops"));
      // Two minutes after, not before.
      for (int i = 0; i < 5; ++i) {
        clock_.advance(20s);
        EXPECT_TRUE(plane_->report_health(talks, "amd64").ok());
      }
      EXPECT_FALSE(logged("stops"));
      when("machine silent/amd64 has stopped", [&] {
        EXPECT_FALSE(logged("machine talks/amd64 stops"));
        end();
      });
      clock_.advance(20s);
      EXPECT_TRUE(plane_->report_health(talks, "amd64").ok());
    });
  });
  loop_.run();
}

TEST_F(PlaneTest, AMachineStaysTwoMinutesAfterItsLastBuild) {
  ASSERT_TRUE(plane_
                  ->start([&] {
                    EXPECT_TRUE(logged("machine p/amd64 has stopped"));
                    loop_.stop();
                  })
                  .ok());
  auto first = create("p");
  acquire(first, [&] {
    EXPECT_TRUE(plane_->finish(first, builderd::BuildStatus::kFinished, "").ok());
    clock_.advance(119s);
    auto second = create("p");  // which keeps it
    acquire(second, [&, second] {
      clock_.advance(29s);
      EXPECT_TRUE(plane_->finish(second, builderd::BuildStatus::kFailed, "why").ok());
      clock_.advance(119s);
      EXPECT_FALSE(plane_->create_build("../x").ok());
      auto probe = create("q");
      EXPECT_TRUE(plane_->finish(probe, builderd::BuildStatus::kCanceled, "").ok());
      EXPECT_FALSE(logged("stops"));
      clock_.advance(1s);
      probe = create("q");
      EXPECT_TRUE(logged("machine p/amd64 stops"));
      // Then the daemon may end.
      EXPECT_TRUE(plane_->finish(probe, builderd::BuildStatus::kCanceled, "").ok());
    });
  });
  loop_.run();
}

TEST_F(PlaneTest, AMachineInUseStopsByForceAloneAndItsBuildHearsOfItFirst) {
  ASSERT_TRUE(plane_->start(nullptr).ok());
  auto build = create("p"), next = create("p");
  acquire(build, [&] {
    std::optional<base::Result<int64_t>> refused, stopped;
    plane_->stop_machines(std::nullopt, false, [&](auto answer) { refused = answer; });
    ASSERT_TRUE(refused);
    EXPECT_EQ(refused->status().code(), base::Code::kFailedPrecondition);
    EXPECT_NE(refused->status().message().find("project p"), std::string::npos);
    plane_->stop_machines("other", false, [&](auto answer) { stopped = answer; });
    ASSERT_TRUE(stopped && stopped->ok());
    EXPECT_EQ(**stopped, 0);

    plane_->stop_machines("p", true, [&](base::Result<int64_t> machines) {
      ASSERT_TRUE(machines.ok());
      EXPECT_EQ(*machines, 1);
      EXPECT_TRUE(logged("machine p/amd64 has stopped"));
    });
    EXPECT_FALSE(logged("machine p/amd64 stops")) << "its build was not told yet";
    auto ended = plane_->find_build(build.id);
    ASSERT_TRUE(ended.ok());
    EXPECT_EQ(ended->status, builderd::BuildStatus::kFailed);
    EXPECT_EQ(ended->message, builderd::kStoppedByForce);
    std::optional<base::Status> answer;
    plane_->connect(*ended, "amd64", [&](auto access) { answer = access.status(); });
    ASSERT_TRUE(answer);
    EXPECT_EQ(answer->code(), base::Code::kFailedPrecondition);
    EXPECT_NE(answer->message().find("force"), std::string::npos) << answer->message();
    // Who comes now waits for a new machine.
    acquire(next, [this, was = *ended] {
      EXPECT_TRUE(logged("machine p/amd64 has stopped"));
      EXPECT_TRUE(plane_->finish(was, builderd::BuildStatus::kFinished, "").ok());
      EXPECT_EQ(plane_->find_build(was.id)->message, builderd::kStoppedByForce);
      end();
    });
    auto cancels_at = plane_->report_health(*ended, "amd64");
    ASSERT_TRUE(cancels_at.ok());
    EXPECT_LE(*cancels_at, clock_.wall());
  });
  loop_.run();
}

TEST_F(PlaneTest, ASilentBuildDoesNotKeepAMachineFromAStopByForce) {
  ASSERT_TRUE(plane_->start(nullptr).ok());
  auto build = create("p");
  acquire(build, [&] {
    plane_->reset("p", true, [&](base::Result<std::string> aside) {
      ASSERT_TRUE(aside.ok()) << aside.status().message();
      EXPECT_TRUE(logged("machine p/amd64 has stopped"));
      EXPECT_FALSE(std::filesystem::exists(dir_ / "projects/p"));
      EXPECT_TRUE(std::filesystem::exists(dir_ / "projects" / *aside / "amd64/root"));
      end();
    });
  });
  loop_.run();
}

TEST_F(PlaneTest, AnAbandonedBuildIsAFailure) {
  ASSERT_TRUE(plane_->start(nullptr).ok());
  auto build = create("p");
  clock_.advance(601s);
  create("p");
  auto found = plane_->find_build(build.id);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->status, builderd::BuildStatus::kFailed);
  EXPECT_EQ(found->message, "its client went silent");
  // A client that only slept knows better.
  EXPECT_TRUE(plane_->finish(*found, builderd::BuildStatus::kFinished, "").ok());
  found = plane_->find_build(build.id);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(found->status, builderd::BuildStatus::kFinished);
  EXPECT_EQ(found->message, "");
  EXPECT_TRUE(plane_->finish(*found, builderd::BuildStatus::kFailed, "second thoughts").ok());
  EXPECT_EQ(plane_->find_build(build.id)->status, builderd::BuildStatus::kFinished);
}

TEST_F(PlaneTest, ABuildThatEndsWhileItWaitsHoldsNothing) {
  ASSERT_TRUE(plane_->start(nullptr).ok());
  auto build = create("p");
  std::optional<base::Status> answer;
  plane_->connect(build, "amd64", [&](base::Result<std::optional<MachineAccess>> access) {
    answer = access.status();
  });
  ASSERT_FALSE(answer) << "it takes a while to start";
  EXPECT_EQ(plane_->live_builds(), 1u);
  EXPECT_TRUE(plane_->finish(build, builderd::BuildStatus::kCanceled, "").ok());
  ASSERT_TRUE(answer);
  EXPECT_EQ(answer->code(), base::Code::kFailedPrecondition);
  EXPECT_EQ(plane_->live_builds(), 0u);
  end();
  loop_.run();
}

}  // namespace
}  // namespace depot::builderd_test

// A machine at a plain address whose other end accepts and never says a word.
#include "machine/machine.h"

#include <gtest/gtest.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <thread>

#include "base/fd.h"

namespace depot::machine {
namespace {

namespace fs = std::filesystem;
using namespace std::chrono_literals;
using base::Code;
using base::Hop;

class MachineTest : public testing::Test {
 protected:
  void SetUp() override {
    std::string name = (fs::temp_directory_path() / "depot-machine-XXXXXX").string();
    ASSERT_NE(::mkdtemp(name.data()), nullptr);
    dir_ = name;
    listener_.reset(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::string path = (dir_ / "s").string();
    path.copy(address.sun_path, sizeof(address.sun_path) - 1);
    ASSERT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof(address)), 0);
    ASSERT_EQ(::listen(listener_.get(), 16), 0);
    options_.builder = "unix://" + path;
    std::ofstream(dir_ / "Dockerfile") << "FROM scratch\n";
  }
  void TearDown() override { fs::remove_all(dir_); }

  std::shared_ptr<Build> build() {
    auto client = Client::create(options_);
    EXPECT_TRUE(client.ok()) << client.status().message();
    auto made = Build::create(*client, {});
    EXPECT_TRUE(made.ok()) << made.status().message();
    return *made;
  }
  std::shared_ptr<Machine> machine() {
    auto acquired = Machine::acquire(build(), "", {});
    EXPECT_TRUE(acquired.ok()) << acquired.status().message();
    return *acquired;
  }

  fs::path dir_;
  base::UniqueFd listener_;
  ClientOptions options_;
};

TEST_F(MachineTest, AnAddressNeedsNoApi) {
  auto made = build();
  EXPECT_EQ(made->api(), nullptr);
  EXPECT_EQ(made->id(), "") << "nobody gave one";
  EXPECT_TRUE(made->finish(Outcome::kSuccess, "").ok());
  EXPECT_TRUE(made->finish(Outcome::kFailed, "twice").ok());
  auto acquired = Machine::acquire(made, "linux/arm64", {});
  ASSERT_TRUE(acquired.ok());
  EXPECT_EQ((*acquired)->platform(), "arm64");
  EXPECT_EQ((*acquired)->endpoint(), options_.builder);
  EXPECT_EQ(Machine::acquire(made, "windows/amd64", {}).status().code(), Code::kInvalidArgument);
}

TEST_F(MachineTest, ConnectEndsByItsDeadline) {
  WaitOptions wait;
  wait.timeout = 100ms;
  auto status = machine()->connect(wait);
  EXPECT_EQ(status.code(), Code::kDeadlineExceeded);
  EXPECT_EQ(status.hop(), Hop::kMachine);
}

TEST_F(MachineTest, ConnectEndsWhenCancelled) {
  WaitOptions wait;
  wait.cancel = base::Cancel();
  auto acquired = machine();
  std::thread other([&] { wait.cancel.trigger(); });
  EXPECT_EQ(acquired->connect(wait).code(), Code::kCancelled);
  other.join();
}

TEST_F(MachineTest, WhoWaitsForAnothersConnectHasItsOwnLimits) {
  auto acquired = machine();
  WaitOptions patient;
  patient.cancel = base::Cancel();
  patient.timeout = 1h;
  base::Status first;
  std::thread other([&] { first = acquired->connect(patient); });
  // It is under way once the other end has it.
  base::UniqueFd connection(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
  ASSERT_TRUE(connection.valid());

  WaitOptions brief;
  brief.timeout = 50ms;
  EXPECT_EQ(acquired->connect(brief).code(), Code::kDeadlineExceeded);
  WaitOptions cancelled;
  cancelled.cancel = base::Cancel();
  std::thread canceller([&] { cancelled.cancel.trigger(); });
  EXPECT_EQ(acquired->connect(cancelled).code(), Code::kCancelled);
  canceller.join();
  base::Status waiting;
  std::thread waiter([&] { waiting = acquired->connect({}); });
  patient.cancel.trigger();  // the next in line takes over
  other.join();
  EXPECT_EQ(first.code(), Code::kCancelled);
  acquired->release();
  waiter.join();
  EXPECT_TRUE(waiting.code() == Code::kCancelled || waiting.code() == Code::kFailedPrecondition)
      << waiting.message();
}

TEST_F(MachineTest, ReleaseEndsAConnectOfAnotherThread) {
  for (int round = 0; round < 20; ++round) {
    auto acquired = machine();
    base::Status status;
    std::thread other([&] { status = acquired->connect({}); });
    acquired->release();
    acquired->release();
    other.join();
    // Before the connect began it is a mistake, during it a cancellation.
    EXPECT_TRUE(status.code() == Code::kCancelled || status.code() == Code::kFailedPrecondition)
        << status.message();
  }
}

TEST_F(MachineTest, ReleaseEndsASolveOfAnotherThread) {
  auto acquired = machine();
  solve::Request request;
  ASSERT_TRUE(request.set_context(dir_.string(), "").ok());
  base::Status status;
  std::thread other([&] { status = acquired->solve(request, {}).status(); });
  acquired->release();
  other.join();
  EXPECT_TRUE(status.code() == Code::kCancelled || status.code() == Code::kFailedPrecondition)
      << status.message();
  EXPECT_EQ(acquired->connect({}).code(), Code::kFailedPrecondition);
}

TEST_F(MachineTest, ABadRequestIsToldBeforeTheNetworkIsAsked) {
  auto acquired = machine();
  solve::Request request;
  ASSERT_TRUE(request.set_context((dir_ / "none").string(), "").ok());
  EXPECT_EQ(acquired->solve(request, {}).status().code(), Code::kNotFound);
}

TEST_F(MachineTest, TlsFilesThatAreNoneAreNamed) {
  options_.builder = "tcp://127.0.0.1:1";
  options_.tls_ca_file = (dir_ / "ca.pem").string();
  auto missing = Machine::acquire(build(), "", {});
  EXPECT_EQ(missing.status().code(), Code::kNotFound);
  EXPECT_NE(missing.status().message().find("ca.pem"), std::string::npos);
  std::ofstream(dir_ / "ca.pem") << "no pem";
  auto acquired = Machine::acquire(build(), "", {});
  base::Status status = acquired.ok() ? (*acquired)->connect({}) : acquired.status();
  EXPECT_FALSE(status.ok());
  EXPECT_NE(status.code(), Code::kDeadlineExceeded) << "told at once";
  options_.tls_ca_file = "/dev/zero";
  EXPECT_EQ(Machine::acquire(build(), "", {}).status().code(), Code::kInvalidArgument);
}

TEST_F(MachineTest, TheFlowEndsWithTheReason) {
  solve::Request request;
  ASSERT_TRUE(request.set_context(dir_.string(), "").ok());
  auto client = Client::create(options_);
  SolveOptions solve;
  solve.cancel = base::Cancel();
  solve.cancel.trigger();
  auto cancelled = run_flow(*client, {}, "", request, solve);
  EXPECT_EQ(cancelled.status().code(), Code::kCancelled);
  ASSERT_TRUE(request.set_context((dir_ / "none").string(), "").ok());
  EXPECT_EQ(run_flow(*client, {}, "", request, {}).status().code(), Code::kNotFound);
}

}  // namespace
}  // namespace depot::machine

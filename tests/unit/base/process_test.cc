#include "base/process.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/wait.h>
#include <unistd.h>

#include <csignal>
#include <thread>

#include "base/wait.h"

namespace depot::base {
namespace {

class ProcessTest : public testing::Test {
 protected:
  void SetUp() override {
    int ends[2];
    ASSERT_EQ(::pipe2(ends, O_CLOEXEC), 0);
    reader_.reset(ends[0]);
    writer_.reset(ends[1]);
  }
  Result<std::unique_ptr<Child>> shell(const std::string& script, bool session = false) {
    Program program;
    program.arguments = {"/bin/sh", "-c", script};
    program.variables = {"WHO=me"};
    program.files = {{writer_.get(), 1}, {writer_.get(), 7}};
    program.session = session;
    auto child = Child::start(program);
    writer_.reset();
    return child;
  }
  std::string output() {
    std::string text;
    char buffer[256];
    for (ssize_t n; (n = ::read(reader_.get(), buffer, sizeof buffer)) > 0;)
      text.append(buffer, static_cast<size_t>(n));
    return text;
  }
  UniqueFd reader_, writer_;
};

TEST_F(ProcessTest, HasWhatItIsGivenAndTellsHowItEnded) {
  auto child = shell("echo \"$WHO $HOME\" >&7; ls /proc/self/fd; exit 3");
  ASSERT_TRUE(child.ok());
  EXPECT_EQ(output(), "me \n0\n1\n7\n") << "0 is ls's own: it was closed";
  ProgramEnd end = (*child)->reap();
  EXPECT_TRUE(end.known);
  EXPECT_EQ(end.exit_code, 3);
  EXPECT_TRUE((*child)->ended());
  EXPECT_EQ((*child)->reap().exit_code, 3) << "as often as one likes";
}

TEST_F(ProcessTest, IsKilledWithItsChildrenAndReaped) {
  auto child = shell("sleep 1000 & echo up; wait");
  char up[3];
  ASSERT_EQ(::read(reader_.get(), up, 3), 3);
  EXPECT_FALSE((*child)->ended());
  *child = nullptr;
  EXPECT_EQ(output(), "") << "the pipe ends with the last that has it";
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1);
}

TEST_F(ProcessTest, TellsTheSignal) {
  auto child = shell("kill -TERM $$");
  ProgramEnd end = (*child)->reap();
  EXPECT_EQ(end.signal, SIGTERM);
  EXPECT_EQ(end.exit_code, -1);
}

TEST_F(ProcessTest, HasASessionOfItsOwnIfAsked) {
  auto child =
      shell("read -r p c s pp pg sid r < /proc/self/stat; [ $sid = $p ] && echo leads", true);
  EXPECT_EQ(output(), "leads\n");
}

TEST_F(ProcessTest, TellsWhyItDidNotStart) {
  Program program;
  program.arguments = {"/nowhere/program"};
  auto child = Child::start(program);
  ASSERT_FALSE(child.ok());
  EXPECT_EQ(child.status().code(), Code::kNotFound);
}

TEST(FindProgram, PassesOverWhatIsRelative) {
  using Values = std::map<std::string, std::string, std::less<>>;
  Environment environment(Values{{"PATH", "bin:.::/nowhere:/bin"}});
  EXPECT_EQ(find_program(environment, "sh"), "/bin/sh");
  EXPECT_EQ(find_program(environment, "no-such-program"), "");
  EXPECT_EQ(find_program(Environment(), "sh"), "");
}

TEST(WaiterTest, NamesTheHopOfItsOwner) {
  Waiter waiter(Cancel::never(), std::chrono::steady_clock::now(), Hop::kMachine);
  auto told = waiter.wait(-1, 0, "this");
  EXPECT_EQ(told.status().code(), Code::kDeadlineExceeded);
  EXPECT_EQ(told.status().hop(), Hop::kMachine);
  Cancel cancel;
  cancel.trigger();
  Waiter stopped(cancel, std::chrono::steady_clock::now() + std::chrono::hours(1), Hop::kMachine);
  EXPECT_EQ(stopped.wait(-1, 0, "that").status().code(), Code::kCancelled);
}

}  // namespace
}  // namespace depot::base

#include "localbuilder/spawn.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <thread>

#include "base/fd.h"
#include "temp_dir.h"

namespace depot::localbuilder {
namespace {

using base::Cancel;
using base::Code;

// A daemon as a shell script: what it does in the background of its first process.
class SpawnTest : public TempDirTest {
 protected:
  base::Status spawn(const std::string& script, const Cancel& cancel = Cancel::never()) {
    std::string path = executable(dir_ / "daemon", script);
    return spawn_daemon(path, {"--flag", "value"},
                        environment({{"PATH", "/usr/bin:/bin"}, {"SECRET_TOKEN", "x"}}),
                        dir_ / "log", cancel, soon());
  }
  std::string text(const std::string& name) {
    std::ifstream in(dir_ / name);
    return std::string(std::istreambuf_iterator<char>(in), {});
  }
};

TEST_F(SpawnTest, IsReadyWhenItSaysSo) {
  std::string out = dir_ / "seen";
  base::Status status = spawn("echo \"$*\" > " + out + "; env >> " + out +
                              "; echo to the log; printf 'ready\\n' >&3");
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_NE(text("seen").find("--flag value --detach --ready-fd 3\n"), std::string::npos);
  EXPECT_EQ(text("seen").find("SECRET_TOKEN"), std::string::npos);
  EXPECT_EQ(text("log"), "to the log\n");
}

TEST_F(SpawnTest, InheritsNoDescriptor) {
  constexpr int kNumber = 57;
  ASSERT_EQ(::dup2(2, kNumber), kNumber);
  base::Status status = spawn("[ -e /proc/$$/fd/57 ] && echo inherited >&2; printf 'ready\\n' >&3");
  ::close(kNumber);
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(text("log"), "");
}

TEST_F(SpawnTest, WorksWhenStandardDescriptorsAreClosed) {
  base::UniqueFd input(::fcntl(0, F_DUPFD_CLOEXEC, 100)), output(::fcntl(1, F_DUPFD_CLOEXEC, 100));
  ::close(0);
  ::close(1);
  base::Status status = spawn("echo to the log; printf 'ready\\n' >&3");
  ::dup2(input.get(), 0);
  ::dup2(output.get(), 1);
  EXPECT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(text("log"), "to the log\n");
}

TEST_F(SpawnTest, ItsErrorIsOurs) {
  base::Status status =
      spawn("printf 'error 9 overlayfs does not work\\nhint use another disk\\n' >&3");
  EXPECT_EQ(status.code(), Code::kFailedPrecondition);
  EXPECT_EQ(status.message(), "overlayfs does not work");
  EXPECT_EQ(status.error().hint, "use another disk");
  EXPECT_EQ(status.hop(), base::Hop::kBuilder);
}

TEST_F(SpawnTest, ADeathWithoutAWordBringsTheLog) {
  base::Status status = spawn("echo 'cannot find libssl.so.3' >&2; exit 127");
  EXPECT_EQ(status.code(), Code::kUnavailable);
  EXPECT_NE(status.error().log_tail.find("cannot find libssl.so.3"), std::string::npos);
}

TEST_F(SpawnTest, NonsenseAndFloodsAreErrors) {
  EXPECT_FALSE(spawn("printf 'ready' >&3").ok());
  EXPECT_FALSE(spawn("head -c 300000 /dev/zero >&3").ok());
  base::Status status = spawn("printf 'error x\\n' >&3");
  EXPECT_FALSE(status.ok());
}

TEST_F(SpawnTest, AProgramThatIsNoneIsNamed) {
  base::Status status =
      spawn_daemon(dir_ / "none", {}, environment({}), dir_ / "log", Cancel::never(), soon());
  EXPECT_EQ(status.code(), Code::kNotFound);
  EXPECT_NE(status.message().find("none"), std::string::npos);
}

TEST_F(SpawnTest, WaitingEndsByCancel) {
  // Two, because who opens the first again may still meet its writer, and then its end.
  std::string fifo = dir_ / "fifo", end = dir_ / "end";
  ASSERT_EQ(::mkfifo(fifo.c_str(), 0600), 0);
  ASSERT_EQ(::mkfifo(end.c_str(), 0600), 0);
  Cancel cancel;
  std::thread other([&] {
    std::ofstream(fifo) << "go\n";  // waits until the script reads: it runs by then
    cancel.trigger();
  });
  // In the background it keeps the pipe open and says nothing.
  base::Status status = spawn("(read x < " + fifo + "; read y < " + end + ") & exit 0", cancel);
  other.join();
  EXPECT_EQ(status.code(), Code::kCancelled);
  std::ofstream(end) << "end\n";
}

TEST(DaemonEnvironment, HoldsWhatIsOnTheListAlone) {
  std::map<std::string, std::string, std::less<>> values = {
      {"PATH", "/bin"},        {"HTTPS_PROXY", "http://p"}, {"LIBDEPOT_STATE_DIR", "/s"},
      {"LC_ALL", "C"},         {"DEPOT_TOKEN", "secret"},   {"AWS_SECRET_ACCESS_KEY", "secret"},
      {"LD_PRELOAD", "/evil"}, {"SSH_AUTH_SOCK", "/s"},     {"XDG_CACHE_HOME", "/c"}};
  auto list = daemon_environment(base::Environment(values));
  std::sort(list.begin(), list.end());
  EXPECT_EQ(list,
            (std::vector<std::string>{"HTTPS_PROXY=http://p", "LC_ALL=C", "LIBDEPOT_STATE_DIR=/s",
                                      "PATH=/bin", "XDG_CACHE_HOME=/c"}));
}

}  // namespace
}  // namespace depot::localbuilder

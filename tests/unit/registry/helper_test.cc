// Credential helpers: real programs, good ones, broken ones and evil ones.
#include "registry/helper.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <thread>

#include "base/fd.h"
#include "support.h"

namespace depot::registry {
namespace {

using base::Cancel;
using base::Code;
using base::Hop;
using base::Result;
using registry_test::Folder;
using registry_test::kPatience;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kKey[] = "https://index.docker.io/v1/";

class Helper : public ::testing::Test {
 protected:
  Result<Credentials> run(const std::string& body,
                          std::map<std::string, std::string, std::less<>> variables = {},
                          std::chrono::milliseconds timeout = kPatience) {
    folder.helper("test", body);
    return run_helper("test", kKey, folder.environment(std::move(variables)), cancel, timeout);
  }
  // Reads a line from a named pipe that the helper writes to: it is there, then.
  std::string line_from(const std::string& name) {
    base::UniqueFd fd(::open(folder.path(name).c_str(), O_RDONLY | O_CLOEXEC));
    std::string line;
    for (char c; ::read(fd.get(), &c, 1) == 1 && c != '\n';) line += c;
    return line;
  }
  void make_pipe(const std::string& name) {
    ASSERT_EQ(::mkfifo(folder.path(name).c_str(), 0600), 0);
  }
  static base::UniqueFd watch(const std::string& pid) {
    return base::UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, std::stoi(pid), 0)));
  }
  static bool ends(const base::UniqueFd& pidfd) {
    pollfd one{pidfd.get(), POLLIN, 0};
    return ::poll(&one, 1, std::chrono::milliseconds(kPatience).count()) == 1;
  }

  Folder folder;
  Cancel cancel;
};

TEST_F(Helper, GetsTheKeyOnStdinAndOneArgument) {
  auto found = run(R"(cat > "$here/in"; echo "$#:$1:$SECRET_SETTING" > "$here/arguments"
ls /proc/self/fd > "$here/descriptors"
printf '{"ServerURL":"x","Username":"me","Secret":"pa\\"ss"}')",
                   {{"SECRET_SETTING", "value"}});
  ASSERT_TRUE(found.ok()) << found.status().message();
  EXPECT_EQ(found->username, "me");
  EXPECT_EQ(found->secret.reveal(), "pa\"ss");
  EXPECT_FALSE(found->identity_token);
  EXPECT_EQ(folder.read("in"), kKey) << "no line end: that is how helpers are asked";
  EXPECT_EQ(folder.read("arguments"), "1:get:value\n");
  EXPECT_EQ(folder.read("descriptors"), "0\n1\n2\n3\n") << "3 is ls's own";
}

TEST_F(Helper, InheritsNoDescriptorOfTheHost) {
  int leaky = ::open("/dev/null", O_RDONLY);  // not close-on-exec
  auto found = run("ls /proc/self/fd > \"$here/descriptors\"; echo '{\"Username\":\"a\"}'");
  ::close(leaky);
  ASSERT_TRUE(found.ok());
  EXPECT_EQ(folder.read("descriptors"), "0\n1\n2\n3\n");
}

TEST_F(Helper, SaysNotFoundByItsText) {
  auto found = run("echo 'credentials not found in native keychain'; exit 1");
  ASSERT_TRUE(found.ok()) << found.status().message();
  EXPECT_TRUE(found->empty());
  auto empty = run("echo '{\"Username\":\"\",\"Secret\":\"\"}'");
  ASSERT_TRUE(empty.ok());
  EXPECT_TRUE(empty->empty());
}

TEST_F(Helper, TokenIsAUserNameOfItsOwn) {
  auto found = run(R"(echo '{"Username":"<token>","Secret":"idt"}')");
  ASSERT_TRUE(found.ok());
  EXPECT_TRUE(found->identity_token);
  EXPECT_EQ(found->username, "");
  EXPECT_EQ(found->secret.reveal(), "idt");
}

TEST_F(Helper, MissingOnesAreNamedWithWhatToDo) {
  auto found = run_helper("absent", kKey, folder.environment(), cancel, kPatience);
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.status().code(), Code::kNotFound);
  EXPECT_EQ(found.status().hop(), Hop::kHelper);
  EXPECT_THAT(found.status().message(), HasSubstr("docker-credential-absent"));
  EXPECT_THAT(found.status().message(), HasSubstr(kKey));
  EXPECT_THAT(found.status().error().hint, HasSubstr("credsStore"));
}

TEST_F(Helper, NamesThatArePathsAreNotRun) {
  folder.write("evil", "#!/bin/sh\ntouch \"$0.ran\"\n");
  ::chmod(folder.path("evil").c_str(), 0755);
  for (const std::string& suffix :
       {std::string("/../evil"), std::string(), std::string("a b"), std::string("x\n"),
        std::string("a\0b", 3), std::string(65, 'a')}) {
    auto found = run_helper(suffix, kKey, folder.environment(), cancel, kPatience);
    ASSERT_FALSE(found.ok());
    EXPECT_EQ(found.status().code(), Code::kInvalidArgument);
  }
  EXPECT_FALSE(std::filesystem::exists(folder.path("evil.ran")));
}

TEST_F(Helper, FailuresCarryWhatItSaid) {
  auto found = run("echo 'keychain is locked'; echo 'dbus: no session' >&2; exit 3");
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.status().code(), Code::kFailedPrecondition);
  EXPECT_THAT(found.status().message(),
              HasSubstr("docker-credential-test for https://index.docker.io/v1/: failed with exit "
                        "code 3: keychain is locked; dbus: no session"));
  auto killed = run("kill -9 $$");
  ASSERT_FALSE(killed.ok());
  EXPECT_THAT(killed.status().message(), HasSubstr("killed by signal 9: it said nothing"));
}

TEST_F(Helper, SecretsNeverReachErrors) {
  // Failed after printing an answer; cut short; a secret where none belongs; on both streams.
  for (const char* body :
       {R"(echo '{"Username":"u","Secret":"hunter2"}'; echo "got hunter2" >&2; exit 1)",
        R"(printf '{"Username":"u","Secret":"hunter2')", R"(echo '{"Secret":["hunter2"]}')",
        R"(echo '["hunter2"]')", R"(echo '"hunter2"'; exit 1)", "echo hunter2",
        R"(printf '{"Username":"u","Secret":"hunter2","x":\377}')",
        R"(printf '{"Username":"u","Secret":"hunter2"} trailing')"}) {
    auto found = run(body);
    ASSERT_FALSE(found.ok()) << body;
    EXPECT_EQ(found.status().hop(), Hop::kHelper);
    EXPECT_THAT(registry_test::everything(found.status()), Not(HasSubstr("hunter2"))) << body;
    EXPECT_THAT(found.status().message(), HasSubstr("docker-credential-test"));
  }
}

TEST_F(Helper, NonsenseIsDataLoss) {
  std::string deep = "head -c 60000 /dev/zero | tr '\\0' '['";
  for (const std::string& body : {std::string("true"), deep, std::string("head -c 1000 /dev/zero"),
                                  std::string("echo '{}'"), std::string("echo null")}) {
    auto found = run(body);
    ASSERT_FALSE(found.ok()) << body;
    EXPECT_EQ(found.status().code(), Code::kDataLoss) << body;
    EXPECT_LT(found.status().message().size(), 600U);
  }
}

TEST_F(Helper, WhoNeverStopsPrintingIsKilled) {
  make_pipe("pid");
  std::string pid;
  std::thread reader([&] { pid = line_from("pid"); });
  auto found = run("echo $$ > \"$here/pid\"; exec yes");
  reader.join();
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.status().code(), Code::kResourceExhausted);
  EXPECT_LT(watch(pid).get(), 0) << "reaped";
}

TEST_F(Helper, ErrorsBeyondTheLimitAreDropped) {
  auto found =
      run(R"(head -c 3000000 /dev/zero | tr '\0' 'e' >&2; echo '{"Username":"u","Secret":"s"}')");
  ASSERT_TRUE(found.ok()) << found.status().message();
  EXPECT_EQ(found->secret.reveal(), "s");
}

TEST_F(Helper, CancelKillsItAndItsChildren) {
  make_pipe("pids");
  base::UniqueFd child;
  std::string parent;
  std::thread canceller([&] {
    std::string line = line_from("pids");
    parent = line.substr(0, line.find(' '));
    child = watch(line.substr(line.find(' ') + 1));
    cancel.trigger();
  });
  // The child ignores what can be ignored and keeps the output open.
  auto found = run(R"(sh -c 'trap "" TERM INT HUP; while :; do sleep 1000; done' &
echo "$$ $!" > "$here/pids"; wait)");
  canceller.join();
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.status().code(), Code::kCancelled);
  EXPECT_LT(watch(parent).get(), 0) << "reaped";
  EXPECT_TRUE(ends(child));
}

TEST_F(Helper, TheDeadlineKillsItToo) {
  auto found = run("while :; do sleep 1000; done", {}, std::chrono::milliseconds(200));
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.status().code(), Code::kDeadlineExceeded);
  EXPECT_THAT(found.status().message(), HasSubstr("docker-credential-test"));
  EXPECT_THAT(found.status().error().hint, HasSubstr("docker-credential-test get"));
}

TEST_F(Helper, OneThatIsCancelledBeforeDoesNotStart) {
  cancel.trigger();
  auto found = run("touch \"$here/ran\"; echo '{\"Username\":\"a\"}'");
  EXPECT_EQ(found.status().code(), Code::kCancelled);
  EXPECT_FALSE(std::filesystem::exists(folder.path("ran")));
}

TEST_F(Helper, ADaemonThatItLeavesDoesNotHoldItsAnswer) {
  make_pipe("pid");
  base::UniqueFd keep(::open(folder.path("pid").c_str(), O_RDWR | O_CLOEXEC));
  auto found = run(R"(sleep 1000 & echo $! > "$here/pid"; echo '{"Username":"u","Secret":"s"}')");
  ASSERT_TRUE(found.ok()) << found.status().message();
  EXPECT_EQ(found->secret.reveal(), "s");
  int daemon = std::stoi(line_from("pid"));
  EXPECT_EQ(::kill(daemon, SIGKILL), 0) << "it lives: gpg-agent, started by pass, must";
}

TEST_F(Helper, OneThatDoesNotReadItsInputIsFine) {
  auto found = run(R"(exec 0<&-; echo '{"Username":"u","Secret":"s"}')");
  ASSERT_TRUE(found.ok());
}

TEST_F(Helper, WhatCannotBeStartedIsAnError) {
  folder.write("docker-credential-test",
               "\x7f"
               "ELF nonsense");
  ::chmod(folder.path("docker-credential-test").c_str(), 0755);
  auto found = run_helper("test", kKey, folder.environment(), cancel, kPatience);
  ASSERT_FALSE(found.ok());
  EXPECT_EQ(found.status().hop(), Hop::kHelper);
}

TEST_F(Helper, ManyAtATime) {
  folder.helper("test", R"(key=$(cat); echo "{\"Username\":\"u\",\"Secret\":\"$key\"}")");
  auto environment = folder.environment();
  std::vector<std::thread> threads;
  std::atomic<int> good{0};
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < 10; ++i) {
        std::string key = std::to_string(t) + "." + std::to_string(i);
        auto found = run_helper("test", key, environment, cancel, kPatience);
        if (found.ok() && found->secret.reveal() == key) ++good;
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(good, 40);
}

}  // namespace
}  // namespace depot::registry

// Connections through client programs, which here are scripts, good ones and broken ones; and a
// Docker Engine's answers.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <poll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <thread>

#include "base/fd.h"
#include "buildkit/channel.h"
#include "buildkit/control.h"

namespace depot::buildkit {
namespace {

using namespace std::chrono_literals;
using base::Code;
using base::Hop;
using base::Status;
using base::UniqueFd;
using ::testing::HasSubstr;

class Dial : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/depot-dial-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    dir_ = name;
    endpoint_.address = "docker-container://bk";
    endpoint_.environment = std::make_shared<const base::Environment>(
        std::map<std::string, std::string, std::less<>>{{"PATH", dir_ + ":/usr/bin:/bin"}});
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }

  void program(const std::string& name, const std::string& body) {
    std::ofstream(path(name)) << "#!/bin/sh\nhere=" << dir_ << "\n" << body;
    std::filesystem::permissions(path(name), std::filesystem::perms::owner_all);
  }
  std::string path(const std::string& name) const { return dir_ + "/" + name; }
  std::string read(const std::string& name) const {
    std::ifstream in(path(name));
    return std::string(std::istreambuf_iterator<char>(in), {});
  }
  // A pipe by name, for a script to say that it has come so far.
  void make_pipe(const std::string& name) { ASSERT_EQ(::mkfifo(path(name).c_str(), 0600), 0); }
  std::string line_from(const std::string& name) const {
    UniqueFd fd(::open(path(name).c_str(), O_RDONLY | O_CLOEXEC));
    std::string line;
    for (char c; ::read(fd.get(), &c, 1) == 1 && c != '\n';) line += c;
    return line;
  }

  // Opens and waits for the answer that none of these give.
  Status failure(std::chrono::milliseconds timeout = 60s,
                 const base::Cancel& cancel = base::Cancel::never()) {
    auto channel = Channel::open(endpoint_, {cancel, timeout});
    if (!channel.ok()) return channel.status();
    auto workers = wait_ready(**channel, timeout, cancel);
    (*channel)->stop();
    return workers.status();
  }

  std::string dir_;
  Endpoint endpoint_;
};

TEST_F(Dial, TellsWhatAProgramSaidThatEndedAtOnce) {
  program("docker",
          "echo \"$*\" > $here/arguments; ls /proc/self/fd > $here/descriptors\n"
          "echo 'Error response from daemon:' >&2; echo 'No such container: bk' >&2\n"
          "exit 7\n");
  Status status = failure();
  EXPECT_EQ(status.code(), Code::kUnavailable);
  EXPECT_EQ(status.hop(), Hop::kMachine);
  EXPECT_THAT(status.message(),
              HasSubstr("`docker exec -i bk buildctl dial-stdio` ended with exit code 7: Error "
                        "response from daemon: No such container: bk"));
  EXPECT_EQ(status.error().log_tail, "Error response from daemon:\nNo such container: bk");
  EXPECT_THAT(status.error().hint, HasSubstr("run `docker exec -i bk buildctl dial-stdio`"));
  EXPECT_EQ(read("arguments"), "exec -i bk buildctl dial-stdio\n");
  EXPECT_EQ(read("descriptors"), "0\n1\n2\n3\n") << "3 is ls's own";
}

TEST_F(Dial, NamesTheProgramThatIsMissing) {
  endpoint_.environment = std::make_shared<const base::Environment>();
  endpoint_.address = "kube-pod://pod";
  Status status = failure();
  EXPECT_EQ(status.code(), Code::kNotFound);
  EXPECT_THAT(status.message(), HasSubstr("kubectl, which connects to kube-pod://pod, is not in"));
  EXPECT_THAT(status.error().hint, HasSubstr("install kubectl"));
}

TEST_F(Dial, EndsByItsDeadlineWhenTheProgramHangs) {
  program("docker", "echo 'still thinking' >&2; exec sleep 1000\n");
  Status status = failure(300ms);
  EXPECT_EQ(status.code(), Code::kDeadlineExceeded);
  EXPECT_THAT(status.message(), HasSubstr("not ready within 300 ms"));
  EXPECT_THAT(status.message(), HasSubstr("is still running"));
}

TEST_F(Dial, EndsWhenCancelledAndKillsTheWholeGroup) {
  make_pipe("pids");
  program("docker", "sleep 1000 & echo $! > $here/pids; wait\n");
  base::Cancel cancel;
  UniqueFd grandchild;
  std::thread other([&] {
    std::string pid = line_from("pids");
    grandchild.reset(static_cast<int>(::syscall(SYS_pidfd_open, std::stoi(pid), 0)));
    cancel.trigger();
  });
  Status status = failure(60s, cancel);
  other.join();
  EXPECT_EQ(status.code(), Code::kCancelled);
  ASSERT_TRUE(grandchild.valid());
  pollfd one{grandchild.get(), POLLIN, 0};
  EXPECT_EQ(::poll(&one, 1, 60000), 1) << "what the program started outlived it";
  EXPECT_EQ(::waitpid(-1, nullptr, WNOHANG), -1) << "the program was not reaped";
}

TEST_F(Dial, IsNoChannelWhenCancelledBefore) {
  program("docker", "exec sleep 1000\n");
  base::Cancel cancel;
  cancel.trigger();
  EXPECT_EQ(Channel::open(endpoint_, {cancel, 60s}).status().code(), Code::kCancelled);
}

TEST_F(Dial, SaysSoWhenTheProgramTalksNonsense) {
  program("docker",
          "echo 'Welcome to this host! Have a look at the news.'; exec cat > /dev/null\n");
  Status status = failure();
  EXPECT_EQ(status.code(), Code::kUnavailable);
  EXPECT_THAT(status.message(), HasSubstr("`docker exec -i bk buildctl dial-stdio`"));
  EXPECT_THAT(status.error().hint, HasSubstr("in silence"));
}

TEST_F(Dial, IsNotHeldUpByAProgramThatNeverStopsComplaining) {
  program("docker",
          "i=0; while [ $i -lt 3000 ]; do echo \"complaint $i "
          "....................................................\" >&2; i=$((i+1)); done\n"
          "exit 1\n");
  Status status = failure();
  EXPECT_EQ(status.code(), Code::kUnavailable);
  EXPECT_THAT(status.message(), HasSubstr("complaint "));
  EXPECT_LE(status.error().log_tail.size(), 4096u);
  EXPECT_LE(status.message().size(), 1000u);
}

TEST_F(Dial, AProgramThatEndedIsNotShared) {
  make_pipe("go");
  program("docker", "read x < $here/go\n");
  ChannelPool pool;
  auto first = pool.open(endpoint_);
  ASSERT_TRUE(first.ok());
  auto second = pool.open(endpoint_);
  ASSERT_TRUE(second.ok());
  EXPECT_EQ(&(*first)->loop(), &(*second)->loop()) << "one program for both";
  std::ofstream(path("go")) << "\n";
  EXPECT_FALSE(wait_ready(**first, 60s, base::Cancel::never()).ok());
  program("docker", "exec sleep 1000\n");
  auto third = pool.open(endpoint_);
  ASSERT_TRUE(third.ok());
  EXPECT_NE(&(*first)->loop(), &(*third)->loop());
  for (auto& channel : {*first, *second, *third}) channel->stop();
}

// --- a Docker Engine ---------------------------------------------------------------------------

// Answers one connection with these bytes, piece by piece, and keeps what it was asked.
class Engine {
 public:
  Engine(const std::string& path, std::vector<std::string> pieces, bool close)
      : pieces_(std::move(pieces)), close_(close) {
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    path.copy(address.sun_path, sizeof address.sun_path - 1);
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(listener_.get(), 1), 0);
    thread_ = std::thread([this] { run(); });
  }
  ~Engine() { finish(); }
  // What it was asked.
  std::string finish() {
    ::shutdown(listener_.get(), SHUT_RDWR);
    if (thread_.joinable()) thread_.join();
    return asked_;
  }

 private:
  void run() {
    UniqueFd peer(::accept4(listener_.get(), nullptr, nullptr, SOCK_CLOEXEC));
    if (!peer.valid()) return;
    char buffer[4096];
    while (asked_.find("\r\n\r\n") == std::string::npos) {
      ssize_t n = ::read(peer.get(), buffer, sizeof buffer);
      if (n <= 0) return;
      asked_.append(buffer, static_cast<size_t>(n));
    }
    for (const auto& piece : pieces_)
      if (::send(peer.get(), piece.data(), piece.size(), MSG_NOSIGNAL) < 0) return;
    if (close_) return;
    // What follows is the client's, until it goes.
    for (ssize_t n = 1; n > 0;) {
      n = ::read(peer.get(), buffer, sizeof buffer);
      if (n > 0) asked_.append(buffer, static_cast<size_t>(n));
    }
  }

  std::vector<std::string> pieces_;
  std::string asked_;
  bool close_;
  UniqueFd listener_{::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)};
  std::thread thread_;
};

class EngineDial : public Dial {
 protected:
  Status answer(std::vector<std::string> pieces, bool close = true) {
    endpoint_.address = "docker://unix://" + path("engine.sock");
    engine_ = std::make_unique<Engine>(path("engine.sock"), std::move(pieces), close);
    return Channel::open(endpoint_).status();
  }
  std::unique_ptr<Engine> engine_;
};

TEST_F(EngineDial, LeavesWhatFollowsTheHeaderToGrpc) {
  // A server's first frames right behind the header, in the same packet.
  std::string settings("\0\0\0\4\0\0\0\0\0", 9);
  endpoint_.address = "docker://unix://" + path("engine.sock");
  engine_ = std::make_unique<Engine>(
      path("engine.sock"),
      std::vector<std::string>{"HTTP/1.1 101 UPGRADED\r\nConnection: Upgrade\r\nUpgrade: h2c\r\n\r",
                               "\n" + settings},
      false);
  base::Cancel cancel;
  auto channel = Channel::open(endpoint_);
  ASSERT_TRUE(channel.ok()) << channel.status().message();
  auto workers = wait_ready(**channel, 500ms, cancel);
  (*channel)->stop();
  // It was taken for HTTP/2: nothing is wrong with it but that nobody answers.
  EXPECT_EQ(workers.status().code(), Code::kDeadlineExceeded) << workers.status().message();
  std::string asked = engine_->finish();
  EXPECT_THAT(asked, HasSubstr("POST /grpc HTTP/1.1\r\n"));
  EXPECT_THAT(asked, HasSubstr("Upgrade: h2c\r\n"));
}

TEST_F(EngineDial, TellsWhatTheEngineSays) {
  Status status =
      answer({"HTTP/1.1 404 Not Found\r\nContent-Type: application/json\r\n"
              "Content-Length: 29\r\n\r\n{\"message\":",
              "\"page not found\"}\n"});
  EXPECT_EQ(status.code(), Code::kUnimplemented);
  EXPECT_EQ(status.hop(), Hop::kMachine);
  EXPECT_THAT(status.message(), HasSubstr("(HTTP 404: page not found)"));
  EXPECT_THAT(status.error().hint, HasSubstr("18.09"));
}

TEST_F(EngineDial, KnowsWhatIsNoEngine) {
  EXPECT_THAT(answer({"SSH-2.0-OpenSSH\r\n\r\n"}).message(), HasSubstr("does not answer as"));
}

TEST_F(EngineDial, TakesNoEndlessHeader) {
  EXPECT_THAT(answer({"HTTP/1.1 101 UPGRADED\r\n", std::string(64 << 10, 'x')}).message(),
              HasSubstr("does not answer as"));
}

TEST_F(EngineDial, TellsWhenItIsHungUpOn) {
  Status status = answer({"HTTP/1.1 101"});
  EXPECT_EQ(status.code(), Code::kUnavailable);
  EXPECT_THAT(status.message(), HasSubstr("closed the connection"));
}

TEST_F(EngineDial, TellsWhenThereIsNone) {
  endpoint_.address = "docker://unix://" + path("nowhere.sock");
  Status status = Channel::open(endpoint_).status();
  EXPECT_EQ(status.code(), Code::kUnavailable);
  EXPECT_THAT(status.message(), HasSubstr("nowhere.sock: No such file or directory"));
}

TEST_F(EngineDial, EndsByDeadlineAndByCancel) {
  endpoint_.address = "docker://unix://" + path("engine.sock");
  engine_ = std::make_unique<Engine>(path("engine.sock"), std::vector<std::string>{}, false);
  EXPECT_EQ(Channel::open(endpoint_, {base::Cancel::never(), 50ms}).status().code(),
            Code::kDeadlineExceeded);
  base::Cancel cancel;
  std::thread other([&] { cancel.trigger(); });
  // The second connection waits in the backlog.
  EXPECT_EQ(Channel::open(endpoint_, {cancel, 60s}).status().code(), Code::kCancelled);
  other.join();
}

TEST_F(EngineDial, AsksThroughAProgramAsWell) {
  program("ssh",
          "read line; printf 'HTTP/1.1 403 Forbidden\\r\\nContent-Length: 2\\r\\n\\r\\nno'\n"
          "echo \"$*\" > $here/arguments; cat > /dev/null; exit 0\n");
  endpoint_.address = "docker://ssh://me@host";
  Status status = Channel::open(endpoint_).status();
  EXPECT_EQ(status.code(), Code::kPermissionDenied);
  EXPECT_THAT(status.message(), HasSubstr("(HTTP 403: no)"));
}

}  // namespace
}  // namespace depot::buildkit

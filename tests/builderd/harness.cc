#include "harness.h"

#include <fcntl.h>
#include <poll.h>
#include <sched.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mount.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>
#include <cstring>
#include <fstream>
#include <sstream>

#include "base/environment.h"
#include "builderd/machine_init.h"
#include "localbuilder/locate.h"
#include "localbuilder/spawn.h"

extern char** environ;

namespace depot::builderd_test {

namespace fs = std::filesystem;

namespace {

std::string read_text(const fs::path& path) {
  std::ifstream in(path, std::ios::binary);
  return std::string(std::istreambuf_iterator<char>(in), {});
}

base::UniqueFd connect_to(const std::string& socket) {
  base::UniqueFd fd(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0));
  sockaddr_un address{};
  address.sun_family = AF_UNIX;
  std::strncpy(address.sun_path, socket.c_str(), sizeof address.sun_path - 1);
  if (::connect(fd.get(), reinterpret_cast<sockaddr*>(&address), sizeof address) != 0) fd.reset();
  return fd;
}

}  // namespace

fs::path engine_dir() {
  auto environment = base::Environment::of_process();
  std::string named = environment.get_or("DEPOT_TEST_ENGINE", "");
  if (!named.empty()) return named;
  std::string cache = environment.get_or("XDG_CACHE_HOME", "");
  if (cache.empty()) cache = environment.get_or("HOME", "/root") + "/.cache";
  return cache + "/libdepot/engine/current/bin";
}

Answer http(const std::string& socket, const std::string& method, const std::string& path,
            const std::vector<std::string>& headers, std::string_view body) {
  Answer answer;
  base::UniqueFd fd = connect_to(socket);
  if (!fd.valid()) return answer;
  std::string request = method + " " + path + " HTTP/1.1\r\nHost: localhost\r\n";
  for (const std::string& header : headers) request += header + "\r\n";
  request += "Connection: close\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n";
  request += body;
  for (size_t sent = 0; sent < request.size();) {
    ssize_t n = ::send(fd.get(), request.data() + sent, request.size() - sent, MSG_NOSIGNAL);
    if (n <= 0) break;  // refused early: the answer is there all the same
    sent += static_cast<size_t>(n);
  }
  std::string text;
  char buffer[16 << 10];
  for (ssize_t n; (n = ::recv(fd.get(), buffer, sizeof buffer, 0)) > 0;) {
    text.append(buffer, static_cast<size_t>(n));
  }
  size_t end = text.find("\r\n\r\n");
  if (end == std::string::npos || text.rfind("HTTP/1.1 ", 0) != 0) return answer;
  answer.status = std::atoi(text.c_str() + 9);
  std::istringstream lines(text.substr(0, end));
  for (std::string line; std::getline(lines, line);) {
    size_t colon = line.find(": ");
    if (colon == std::string::npos) continue;
    std::string value = line.substr(colon + 2);
    while (!value.empty() && value.back() == '\r') value.pop_back();
    answer.headers[line.substr(0, colon)] = value;
  }
  answer.body = text.substr(end + 4);
  return answer;
}

base::UniqueFd open_process(pid_t pid) {
  return base::UniqueFd(static_cast<int>(::syscall(SYS_pidfd_open, pid, 0)));
}

bool wait_for_end(const base::UniqueFd& process) {
  if (!process.valid()) return true;  // it was gone already
  pollfd fd{process.get(), POLLIN, 0};
  return ::poll(&fd, 1, 90'000) == 1;
}

std::vector<pid_t> descendants(pid_t pid) {
  std::vector<pid_t> out;
  std::error_code error;
  for (const auto& task : fs::directory_iterator("/proc/" + std::to_string(pid) + "/task", error)) {
    std::istringstream children(read_text(task.path() / "children"));
    for (pid_t child; children >> child;) {
      for (pid_t one : descendants(child)) out.push_back(one);
      out.push_back(child);
    }
  }
  return out;
}

std::vector<pid_t> processes_with(const std::string& text) {
  std::vector<pid_t> out;
  for (const auto& entry : fs::directory_iterator("/proc")) {
    std::string name = entry.path().filename();
    if (name.find_first_not_of("0123456789") != std::string::npos) continue;
    std::string line = read_text(entry.path() / "cmdline");
    if (line.find(text) != std::string::npos && std::stoi(name) != ::getpid()) {
      out.push_back(std::stoi(name));
    }
  }
  return out;
}

int run(const std::vector<std::string>& argv, std::string* output) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return -1;
  base::UniqueFd reader(ends[0]), writer(ends[1]);
  posix_spawn_file_actions_t actions;
  ::posix_spawn_file_actions_init(&actions);
  ::posix_spawn_file_actions_adddup2(&actions, writer.get(), 1);
  ::posix_spawn_file_actions_adddup2(&actions, writer.get(), 2);
  std::vector<std::string> strings = argv;
  std::vector<char*> pointers;
  for (std::string& one : strings) pointers.push_back(one.data());
  pointers.push_back(nullptr);
  pid_t pid = -1;
  int error = ::posix_spawnp(&pid, pointers[0], &actions, nullptr, pointers.data(), environ);
  ::posix_spawn_file_actions_destroy(&actions);
  if (error != 0) return -1;
  writer.reset();
  char buffer[16 << 10];
  for (ssize_t n; (n = ::read(reader.get(), buffer, sizeof buffer)) > 0;) {
    if (output) output->append(buffer, static_cast<size_t>(n));
  }
  int status = 0;
  ::waitpid(pid, &status, 0);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

void DaemonTest::SetUp() {
  ASSERT_EQ(::geteuid(), 0u) << "the local builder needs root";
  char name[] = "/tmp/depot-builderd-XXXXXX";
  ASSERT_NE(::mkdtemp(name), nullptr);
  dir_ = name;
  runtime_ = dir_ / "run";
  state_ = dir_ / "state";
  socket_ = runtime_ / localbuilder::kSocketName;
  engine_ = engine_dir();
  buildkitd_ = engine_ + "/buildkitd";
  ASSERT_TRUE(fs::exists(buildkitd_)) << "run packaging/engine/install";
}

void DaemonTest::TearDown() {
  pid_t pid = daemon_pid();
  std::vector<base::UniqueFd> processes;
  if (pid > 0) {
    for (pid_t one : descendants(pid)) processes.push_back(open_process(one));
    processes.push_back(open_process(pid));
    ::kill(pid, SIGTERM);
    EXPECT_TRUE(wait_for_end(processes.back())) << log();
  }
  expect_nothing_left(processes);
  if (HasFailure()) std::fprintf(stderr, "the daemon's log:\n%s", log().c_str());
  std::error_code ignored;
  fs::remove_all(dir_, ignored);
}

void DaemonTest::expect_nothing_left(const std::vector<base::UniqueFd>& processes) {
  for (const base::UniqueFd& one : processes) EXPECT_TRUE(wait_for_end(one));
  // One that refused to start tells so before it ends.
  for (pid_t one : processes_with(runtime_.string())) {
    EXPECT_TRUE(wait_for_end(open_process(one))) << "process " << one << " is left";
  }
  EXPECT_FALSE(fs::exists(socket_));
  std::istringstream mounts(read_text("/proc/self/mountinfo"));
  for (std::string line; std::getline(mounts, line);) {
    EXPECT_EQ(line.find(dir_.string() + "/run"), std::string::npos) << line;
    EXPECT_EQ(line.find("/root/runc-"), std::string::npos) << line;
  }
}

localbuilder::LaunchOptions DaemonTest::launch_options() const {
  localbuilder::LaunchOptions options;
  options.builderd_path = DEPOT_TEST_BUILDERD;
  options.engine_dir = engine_;
  options.state_dir = state_;
  options.runtime_dir = runtime_;
  options.environment = base::Environment::of_process();
  return options;
}

base::Status DaemonTest::start(std::vector<std::string> flags) {
  std::vector<std::string> all = {"--runtime-dir", runtime_,   "--state-dir", state_,
                                  "--buildkitd",   buildkitd_, "--runc",      engine_ + "/runc"};
  all.insert(all.end(), flags.begin(), flags.end());
  return localbuilder::spawn_daemon(DEPOT_TEST_BUILDERD, all, base::Environment::of_process(),
                                    dir_ / "out", base::Cancel::never(), deadline());
}

pid_t DaemonTest::daemon_pid() const {
  base::UniqueFd fd = connect_to(socket_);
  ucred peer{};
  socklen_t size = sizeof peer;
  if (!fd.valid() || ::getsockopt(fd.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0) return -1;
  return peer.pid;
}

std::string DaemonTest::log() const {
  return read_text(dir_ / "out") + read_text(state_ / "builderd.out") +
         read_text(state_ / "builderd.log");
}

api::CreateBuildResponse DaemonTest::create(const std::string& project) {
  api::CreateBuildRequest request;
  request.set_project_id(project);
  auto outcome = call<api::CreateBuildResponse>(socket_, wire::kBuildCreateBuild, "", request);
  EXPECT_TRUE(outcome.ok) << outcome.error;
  return outcome.response;
}

Outcome<api::GetBuildKitConnectionResponse> DaemonTest::connect(
    const api::CreateBuildResponse& build, api::BuilderPlatform platform) {
  api::GetBuildKitConnectionRequest request;
  request.set_build_id(build.build_id());
  request.set_platform(platform);
  for (;;) {  // the server holds each until there is news, or for its two seconds
    auto outcome = call<api::GetBuildKitConnectionResponse>(
        socket_, wire::kBuildGetBuildKitConnection, build.build_token(), request);
    if (!outcome.ok || outcome.response.has_active()) return outcome;
  }
}

Outcome<api::FinishBuildResponse> DaemonTest::finish(const api::CreateBuildResponse& build) {
  api::FinishBuildRequest request;
  request.set_build_id(build.build_id());
  request.mutable_success();
  return call<api::FinishBuildResponse>(socket_, wire::kBuildFinishBuild, build.build_token(),
                                        request);
}

int DaemonTest::buildctl(const api::GetBuildKitConnectionResponse::ActiveConnection& machine,
                         std::vector<std::string> arguments, std::string* output) {
  fs::path tls = dir_ / "tls";
  fs::create_directories(tls);
  std::ofstream(tls / "ca.pem") << machine.ca_cert().cert();
  std::ofstream(tls / "cert.pem") << machine.cert().cert();
  std::ofstream(tls / "key.pem") << machine.cert().key();
  std::vector<std::string> argv = {
      engine_ + "/buildctl", "--addr",      machine.endpoint(), "--tlsservername",
      machine.server_name(), "--tlscacert", tls / "ca.pem",     "--tlscert",
      tls / "cert.pem",      "--tlskey",    tls / "key.pem"};
  argv.insert(argv.end(), arguments.begin(), arguments.end());
  return run(argv, output);
}

}  // namespace depot::builderd_test

int main(int argc, char** argv) {
  // plane_test: machines are started by executing this very program.
  if (argc == 2 && std::string_view(argv[1]) == "--machine-init") {
    return depot::builderd::machine_init_main();
  }
  testing::InitGoogleTest(&argc, argv);
  if (GTEST_FLAG_GET(list_tests)) return RUN_ALL_TESTS();
  if (::unshare(CLONE_NEWNS) != 0 ||
      ::mount(nullptr, "/", nullptr, MS_REC | MS_PRIVATE, nullptr) != 0) {
    std::perror("these tests need root: cannot make a mount namespace");
    return 1;
  }
  return RUN_ALL_TESTS();
}

// The books without a daemon, and with one that is not ours; with ours in tests/builderd.
#include "localbuilder/projects.h"

#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include <cstring>
#include <fstream>
#include <thread>

#include "base/fd.h"
#include "localbuilder/file_lock.h"
#include "localbuilder/handshake.h"
#include "localbuilder/locate.h"
#include "localbuilder/project_dirs.h"
#include "localbuilder/tree.h"
#include "temp_dir.h"

namespace depot::localbuilder {
namespace {

namespace fs = std::filesystem;
using base::Cancel;
using base::Code;

class ProjectsTest : public TempDirTest {
 protected:
  void SetUp() override {
    TempDirTest::SetUp();
    state_ = dir_ / "state";
    runtime_ = dir_ / "run";
    options_.launch.state_dir = state_;
    options_.launch.runtime_dir = runtime_;
    options_.launch.builderd_path = "/nonexistent/builderd";
    options_.deadline = soon();
  }
  void cache(const std::string& project, const std::string& architecture, size_t size) {
    fs::path root = state_ / "projects" / project / architecture / "root";
    fs::create_directories(root);
    std::ofstream(root / "blob") << std::string(size, 'x');
  }
  base::Status reset(const std::string& project) {
    options_.project = project;
    return reset_project(options_).status();
  }

  fs::path state_, runtime_;
  BooksOptions options_;
};

TEST_F(ProjectsTest, NothingIsMadeByLooking) {
  auto none = list_projects(options_);
  ASSERT_TRUE(none.ok()) << none.status().message();
  EXPECT_TRUE(none->empty());
  EXPECT_EQ(*stop_machines(options_), 0);
  EXPECT_EQ(reset("p").code(), Code::kNotFound);
  EXPECT_TRUE(fs::is_empty(dir_));
}

TEST_F(ProjectsTest, ListsFromTheDisk) {
  cache("small", "amd64", 1);
  cache("large", "arm64", 100'000);
  cache("large", "amd64", 100'000);
  fs::create_directories(state_ / "projects/large/other");
  fs::create_directories(state_ / "projects/.trash-1/amd64");
  std::ofstream(state_ / "projects/file") << "x";
  fs::create_directory_symlink(state_ / "projects/small", state_ / "projects/link");
  auto projects = list_projects(options_);
  ASSERT_TRUE(projects.ok()) << projects.status().message();
  ASSERT_EQ(projects->size(), 2u);
  const Project& large = (*projects)[0];
  EXPECT_EQ(large.id, "large");
  EXPECT_EQ(large.directory, (state_ / "projects/large").string());
  ASSERT_EQ(large.machines.size(), 2u);
  EXPECT_EQ(large.machines[0].architecture, "amd64");
  EXPECT_EQ(large.machines[0].state, MachineState::kStopped);
  EXPECT_GT(large.last_used, 1'600'000'000'000'000'000);
  EXPECT_GE(large.cache_bytes, 200'000);
  EXPECT_TRUE(large.cache_complete);
  EXPECT_EQ((*projects)[1].id, "small");
  EXPECT_LT((*projects)[1].cache_bytes, 100'000);
  options_.project = "small";
  ASSERT_EQ(list_projects(options_)->size(), 1u);
  options_.project = "other";
  EXPECT_TRUE(list_projects(options_)->empty());
  EXPECT_FALSE(fs::exists(runtime_));
  EXPECT_FALSE(fs::exists(state_ / kDaemonLockName));
}

TEST_F(ProjectsTest, WhatAnotherDaemonHasIsUnknown) {
  cache("p", "amd64", 1);
  auto lock = FileLock::try_acquire(state_ / kDaemonLockName);
  ASSERT_TRUE(lock.ok() && *lock);
  EXPECT_EQ(list_projects(options_)->at(0).machines.at(0).state, MachineState::kUnknown);
  options_.deadline = std::chrono::steady_clock::now();
  base::Status refused = reset("p");
  // Too late to ask who is there, or to wait for its end.
  EXPECT_EQ(refused.code(), Code::kFailedPrecondition) << refused.message();
  EXPECT_NE(refused.message().find(state_), std::string::npos);
  EXPECT_TRUE(fs::exists(state_ / "projects/p"));
  options_.deadline = soon();
  std::thread end([&] { lock->reset(); });
  EXPECT_TRUE(reset("p").ok());
  end.join();
  EXPECT_EQ(list_projects(options_)->size(), 0u);
}

TEST_F(ProjectsTest, ResetsOneProject) {
  cache("p", "amd64", 100'000);
  cache("p2", "amd64", 1);
  options_.project = "p";
  auto freed = reset_project(options_);
  ASSERT_TRUE(freed.ok()) << freed.status().message();
  EXPECT_GE(*freed, 100'000);
  EXPECT_EQ(reset("p").code(), Code::kNotFound);
  options_.project.reset();
  ASSERT_EQ(list_projects(options_)->size(), 1u);
  EXPECT_EQ(list_projects(options_)->at(0).id, "p2");
  EXPECT_TRUE(find_aside(state_).empty());
  EXPECT_EQ(reset_project(options_).status().code(), Code::kInvalidArgument) << "not all";
  for (const char* bad : {"", ".", "..", "../state", "a/b", ".trash-1"}) {
    EXPECT_EQ(reset(bad).code(), Code::kInvalidArgument) << bad;
  }
}

TEST_F(ProjectsTest, AResetThatIsBrokenOffLeavesNoProject) {
  cache("p", "amd64", 1);
  for (int i = 0; i < 300; ++i) std::ofstream(state_ / "projects/p/amd64" / std::to_string(i));
  auto aside = set_aside(state_, "p");
  ASSERT_TRUE(aside.ok());
  Cancel cancel;
  cancel.trigger();
  EXPECT_EQ(remove_aside(state_, *aside, cancel, soon()).status().code(), Code::kCancelled);
  EXPECT_TRUE(list_projects(options_)->empty());
  EXPECT_EQ(find_aside(state_), std::vector<std::string>{*aside});
  EXPECT_TRUE(remove_aside(state_, *aside, Cancel::never(), soon()).ok());
  EXPECT_TRUE(fs::is_empty(state_ / "projects"));
}

TEST_F(ProjectsTest, ASymlinkIsNotReset) {
  cache("real", "amd64", 1);
  fs::create_directory_symlink(state_ / "projects/real", state_ / "projects/link");
  EXPECT_EQ(set_aside(state_, "link").status().code(), Code::kFailedPrecondition);
  EXPECT_EQ(reset("link").code(), Code::kFailedPrecondition);
  EXPECT_TRUE(fs::exists(state_ / "projects/real/amd64/root/blob"));
  EXPECT_TRUE(fs::is_symlink(state_ / "projects/link"));
}

TEST_F(ProjectsTest, UseIsNoted) {
  cache("p", "amd64", 1);
  fs::path machine = state_ / "projects/p/amd64";
  fs::last_write_time(machine, fs::file_time_type::clock::now() - std::chrono::hours(1));
  int64_t before = list_projects(options_)->at(0).last_used;
  note_use(machine);
  EXPECT_GT(list_projects(options_)->at(0).last_used, before);
}

// A daemon that is not ours, answering one connection after another.
class StrangeDaemon {
 public:
  StrangeDaemon(const fs::path& runtime, std::vector<std::string> answers)
      : listener_(::socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    fs::create_directories(runtime);
    sockaddr_un address{};
    address.sun_family = AF_UNIX;
    std::strcpy(address.sun_path, (runtime / kSocketName).c_str());
    EXPECT_EQ(::bind(listener_.get(), reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    EXPECT_EQ(::listen(listener_.get(), 1), 0);
    thread_ = std::thread([this, answers = std::move(answers)] {
      for (const std::string& answer : answers) {
        base::UniqueFd fd(::accept(listener_.get(), nullptr, nullptr));
        char buffer[4096];
        (void)!::read(fd.get(), buffer, sizeof buffer);
        (void)!::send(fd.get(), answer.data(), answer.size(), MSG_NOSIGNAL);
      }
    });
  }
  ~StrangeDaemon() { thread_.join(); }

 private:
  base::UniqueFd listener_;
  std::thread thread_;
};

std::string http(const std::string& status, const std::string& body) {
  return "HTTP/1.1 " + status + "\r\nContent-Length: " + std::to_string(body.size()) + "\r\n\r\n" +
         body;
}

TEST_F(ProjectsTest, ADaemonWithoutBooksSaysSo) {
  StrangeDaemon old(runtime_, {http("200 OK", format_hello({"0.0.1", 1, 1, 0})),
                               http("404 Not Found", R"({"code":"unimplemented"})")});
  auto projects = list_projects(options_);
  EXPECT_EQ(projects.status().code(), Code::kUnimplemented);
  EXPECT_FALSE(projects.status().error().hint.empty());
}

TEST_F(ProjectsTest, ADaemonOfAnotherProtocolIsNotPassedOver) {
  cache("p", "amd64", 1);
  StrangeDaemon later(runtime_, {http("200 OK", format_hello({"9", 9, 8, 0}))});
  EXPECT_EQ(reset("p").code(), Code::kFailedPrecondition);
  EXPECT_TRUE(fs::exists(state_ / "projects/p"));
}

TEST_F(ProjectsTest, ACutOffAnswerIsNoAnswer) {
  std::string whole = http("200 OK", R"({"machines": 12})");
  StrangeDaemon dying(
      runtime_, {http("200 OK", format_hello({"1", 1, 1, 0})), whole.substr(0, whole.size() - 2)});
  EXPECT_EQ(stop_machines(options_).status().code(), Code::kUnavailable);
}

}  // namespace
}  // namespace depot::localbuilder

#include "localbuilder/file_lock.h"

#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <thread>
#include <vector>

#include "temp_dir.h"

namespace depot::localbuilder {
namespace {

using base::Cancel;
using base::Code;

class FileLockTest : public TempDirTest {
 protected:
  // A process that has the lock until it is killed.
  pid_t holder() {
    int ends[2];
    EXPECT_EQ(::pipe(ends), 0);
    pid_t pid = ::fork();
    if (pid == 0) {
      auto lock = FileLock::try_acquire(dir_ / "lock");
      bool held = lock.ok() && lock->has_value();
      ssize_t n = ::write(ends[1], held ? "y" : "n", 1);
      while (n == 1) ::pause();
      ::_exit(1);
    }
    char answer = 0;
    EXPECT_EQ(::read(ends[0], &answer, 1), 1);
    EXPECT_EQ(answer, 'y');
    ::close(ends[0]);
    ::close(ends[1]);
    return pid;
  }
};

TEST_F(FileLockTest, OneAtATime) {
  auto first = FileLock::try_acquire(dir_ / "lock");
  ASSERT_TRUE(first.ok() && first->has_value());
  EXPECT_FALSE(FileLock::try_acquire(dir_ / "lock")->has_value());
  first->reset();
  EXPECT_TRUE(FileLock::try_acquire(dir_ / "lock")->has_value());
}

TEST_F(FileLockTest, ADeathReleases) {
  pid_t pid = holder();
  EXPECT_FALSE(FileLock::try_acquire(dir_ / "lock")->has_value());
  ::kill(pid, SIGKILL);
  auto lock = FileLock::acquire(dir_ / "lock", Cancel::never(), soon());
  EXPECT_TRUE(lock.ok()) << lock.status().message();
  ::waitpid(pid, nullptr, 0);
}

TEST_F(FileLockTest, WaitingEndsByCancelAndByDeadline) {
  pid_t pid = holder();
  Cancel cancel;
  std::thread other([&] { cancel.trigger(); });
  EXPECT_EQ(FileLock::acquire(dir_ / "lock", cancel, soon()).status().code(), Code::kCancelled);
  other.join();
  auto now = std::chrono::steady_clock::now();
  EXPECT_EQ(FileLock::acquire(dir_ / "lock", Cancel::never(), now).status().code(),
            Code::kDeadlineExceeded);
  ::kill(pid, SIGKILL);
  ::waitpid(pid, nullptr, 0);
}

TEST_F(FileLockTest, ThreadsTakeTurns) {
  std::atomic<int> inside{0}, most{0}, turns{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < 8; ++i) {
    threads.emplace_back([&] {
      for (int n = 0; n < 5; ++n) {
        auto lock = FileLock::acquire(dir_ / "lock", Cancel::never(), soon());
        ASSERT_TRUE(lock.ok());
        int now = ++inside;
        if (now > most) most = now;
        ++turns;
        --inside;
      }
    });
  }
  for (auto& one : threads) one.join();
  EXPECT_EQ(most, 1);
  EXPECT_EQ(turns, 40);
}

TEST_F(FileLockTest, ASymlinkIsRefused) {
  std::filesystem::create_symlink("/dev/null", dir_ / "lock");
  EXPECT_FALSE(FileLock::try_acquire(dir_ / "lock").ok());
}

}  // namespace
}  // namespace depot::localbuilder

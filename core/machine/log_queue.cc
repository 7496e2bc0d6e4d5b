#include "machine/log_queue.h"

#include <pthread.h>
#include <signal.h>
#include <unistd.h>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <deque>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <utility>

namespace depot::machine {

using Clock = std::chrono::steady_clock;

struct LogQueue::State : std::enable_shared_from_this<LogQueue::State> {
  struct Line {
    base::LogLevel level;
    std::string text;
  };

  // Another thread may have held the lock when the process forked.
  bool forked() const {
    pid_t process = owner.load();
    return process != 0 && process != ::getpid();
  }

  void add(base::LogLevel level, std::string_view text) {
    if (forked()) return;
    {
      std::lock_guard lock(mutex);
      if (closed || !start_thread()) return;
      if (lines.size() >= kMostLines || bytes + text.size() > kMostBytes) {
        ++dropped;
        return;
      }
      tell_dropped();
      bytes += text.size();
      lines.push_back({level, std::string(text)});
    }
    changed.notify_one();
  }

  // Under the mutex, as the two below.
  bool start_thread() {
    if (owner != 0) return true;
    // The host program's signals are its own threads' business.
    sigset_t all, before;
    ::sigfillset(&all);
    ::pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
      owner = ::getpid();
      thread = std::thread([self = shared_from_this()] { self->run(); });
    } catch (const std::system_error&) {
      owner = 0;
    }
    ::pthread_sigmask(SIG_SETMASK, &before, nullptr);
    return owner != 0;
  }

  void tell_dropped() {
    if (dropped == 0) return;
    std::string text = std::to_string(std::exchange(dropped, 0)) +
                       " log lines were dropped: the log function did not keep up";
    bytes += text.size();
    lines.push_back({base::LogLevel::kWarning, std::move(text)});
  }

  void run() {
    std::unique_lock lock(mutex);
    for (;;) {
      if (lines.empty()) tell_dropped();
      changed.wait(lock, [&] { return closed || !lines.empty(); });
      if (lines.empty() || (closed && Clock::now() >= give_up)) return;
      Line line = std::move(lines.front());
      lines.pop_front();
      bytes -= line.text.size();
      lock.unlock();
      function(line.level, line.text);
      lock.lock();
    }
  }

  void close() {
    if (forked()) return;
    std::thread waited;
    bool own = false;
    {
      std::lock_guard lock(mutex);
      if (std::exchange(closed, true)) return;
      own = thread.get_id() == std::this_thread::get_id();
      give_up = own ? Clock::time_point::min() : Clock::now() + kPatience;
      waited = std::move(thread);
    }
    changed.notify_all();
    if (own) {
      waited.detach();  // it holds a reference, and lets go of the function when it ends
      return;
    }
    if (waited.joinable()) waited.join();
    base::LogSink gone;
    std::lock_guard lock(mutex);
    gone.swap(function);
  }

  std::atomic<pid_t> owner = 0;  // the process with the thread; 0 before it starts
  base::LogSink function;        // the thread's, once that has started; close()'s when it has ended

  std::mutex mutex;
  std::condition_variable changed;
  std::thread thread;  // guarded by mutex, as all below
  std::deque<Line> lines;
  size_t bytes = 0;
  uint64_t dropped = 0;
  bool closed = false;
  Clock::time_point give_up;
};

LogQueue::LogQueue(base::LogSink function) {
  if (!function) return;
  state_ = std::make_shared<State>();
  state_->function = std::move(function);
}

LogQueue::~LogQueue() {
  if (!state_) return;
  if (state_->forked())  // its thread and lock are the parent's: left as they are
    new std::shared_ptr<State>(std::move(state_));
  else
    close();
}

base::LogSink LogQueue::sink() const {
  if (!state_) return {};
  return [state = state_](base::LogLevel level, std::string_view text) { state->add(level, text); };
}

void LogQueue::close() {
  if (state_) state_->close();
}

}  // namespace depot::machine

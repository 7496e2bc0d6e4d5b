// An EpollLoop with the thread that runs it. Private to the buildkit module.
#pragma once

#include <cerrno>
#include <string>
#include <system_error>
#include <thread>

#include "base/epoll_loop.h"
#include "base/signals.h"
#include "base/status.h"

namespace depot::buildkit {

class LoopThread {
 public:
  LoopThread() = default;
  ~LoopThread() { join(); }

  base::EpollLoop& loop() { return loop_; }
  // Once, when all that the loop is to know before is said. kResourceExhausted: the system has no
  // descriptors or threads to give.
  base::Status start() {
    if (!loop_.valid()) return base::errno_error(EMFILE, "cannot wait for events");
    // The host program's signals are its own threads' business.
    base::SignalsBlocked blocked;
    try {
      thread_ = std::thread([this] { loop_.run(); });
    } catch (const std::system_error& error) {
      return base::Status(base::Code::kResourceExhausted, base::Hop::kLocal,
                          std::string("cannot start a thread: ") + error.what());
    }
    return {};
  }
  // After loop().stop(). Not on the loop thread.
  void join() {
    if (thread_.joinable()) thread_.join();
  }

 private:
  base::EpollLoop loop_;
  std::thread thread_;
};

}  // namespace depot::buildkit

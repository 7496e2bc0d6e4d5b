// Daemon: the parts put together, from locks to listeners, and taken down again.
//
// One daemon per runtime directory and one per state directory, each held by a file lock: a second
// one that shared the caches would kill the first one's machines as leftovers. One thread, and a
// few that count and remove files (books.h).
#pragma once

#include <memory>
#include <optional>

#include "base/environment.h"
#include "base/epoll_loop.h"
#include "base/log.h"
#include "base/status.h"
#include "builderd/api_service.h"
#include "builderd/books.h"
#include "builderd/control_plane.h"
#include "builderd/options.h"
#include "builderd/server.h"
#include "localbuilder/file_lock.h"

namespace depot::builderd {

class Daemon {
 public:
  Daemon(DaemonOptions options, base::Environment environment);
  ~Daemon();

  // Everything up to listening; a predecessor that ends just now is waited for. SIGTERM and SIGINT
  // must be blocked in every thread.
  base::Status start();
  // Serves until idle for long enough, told to retire, or a signal: the first stops in order, the
  // second kills the machines.
  void run();
  // Where --listen came to listen; 0 without it.
  uint16_t port() const { return port_; }

 private:
  base::Status lock();
  base::Status listen();
  void on_signal();
  void end(const char* why);

  const DaemonOptions options_;
  const base::Environment environment_;
  // In this order: what is below uses what is above, and the runtime directory's lock is the last
  // to go, because a successor waits for it first.
  std::optional<localbuilder::FileLock> runtime_lock_, state_lock_;
  std::unique_ptr<LogFile> log_file_;
  base::LogSink log_;
  base::EpollLoop loop_;
  base::UniqueFd signals_;
  std::unique_ptr<ControlPlane> plane_;
  std::unique_ptr<Books> books_;
  std::unique_ptr<ApiService> service_;
  std::unique_ptr<Server> server_;
  uint16_t port_ = 0;
  bool ending_ = false;
};

}  // namespace depot::builderd

// Books: the requests of localbuilder/books.h. What the disk has to say, and removals, go on
// threads of their own, so that the loop answers builds meanwhile; what the control plane says is
// asked on the loop.
#pragma once

#include <functional>
#include <memory>
#include <string>

#include "base/cancel.h"
#include "base/epoll_loop.h"
#include "base/log.h"
#include "base/pool.h"
#include "builderd/control_plane.h"
#include "builderd/http_service.h"
#include "localbuilder/books.h"

namespace depot::builderd {

class Books {
 public:
  // Loop and plane must outlive it. Loop thread only.
  Books(base::EpollLoop& loop, ControlPlane& plane, std::string state_dir, base::LogSink log);
  // Breaks off what is under way.
  ~Books();

  static bool knows(const std::string& path);
  void handle(const HttpRequest& request, HttpService::Done done);
  // Of earlier resets, in the background.
  void remove_leftovers();

 private:
  void list(localbuilder::BooksQuestion question, HttpService::Done done);
  void stop(const localbuilder::BooksQuestion& question, HttpService::Done done);
  void reset(const localbuilder::BooksQuestion& question, HttpService::Done done);
  // `work` on a thread, what it returns to `then` on the loop; the daemon does not end meanwhile.
  template <class T>
  void run(std::function<T()> work, std::function<void(T)> then);

  base::EpollLoop& loop_;
  ControlPlane& plane_;
  const std::string state_dir_;
  const base::LogSink log_;
  base::Cancel cancel_;
  std::shared_ptr<int> alive_ = std::make_shared<int>(0);
  base::Pool pool_;  // the first to go: it waits for what uses the others
};

}  // namespace depot::builderd

// What the tasks of an Auth share: the way to its threads, as long as it lives. Private to the
// module.
//
// Tasks hold this and never the pool or the client themselves: the last reference to those must not
// go on their own threads, where their destructors would wait for themselves.
#pragma once

#include <condition_variable>
#include <functional>
#include <memory>
#include <mutex>
#include <utility>

#include "base/pool.h"
#include "base/status.h"
#include "http/client.h"

namespace depot::registry {

class Shared {
 public:
  using MakeClient = std::function<std::shared_ptr<http::Client>()>;

  Shared(std::shared_ptr<base::Pool> pool, MakeClient make_client)
      : pool_(std::move(pool)), make_client_(std::move(make_client)) {}

  // Drops everything it holds, on this thread. Later calls do nothing.
  void close();

  // Runs `task` on the pool, or destroys it here once closed. Any thread.
  void post(std::function<void()> task);

  // Makes the client if there is none yet. Pool threads.
  base::Status need_client();
  // Calls `use`, which must be quick and must not close(), with the client; false, and no call,
  // when there is none or no longer. Any thread; under no lock, but close() waits for it.
  bool with_client(const std::function<void(http::Client&)>& use);

 private:
  std::mutex mutex_;
  std::condition_variable unused_;
  size_t users_ = 0;  // of the client, just now
  bool closed_ = false;
  std::shared_ptr<base::Pool> pool_;
  std::shared_ptr<http::Client> client_;
  std::mutex making_;  // taken before mutex_
  MakeClient make_client_;
};

}  // namespace depot::registry

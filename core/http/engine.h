// The client's thread: a curl multi handle, posts and timers. Private to the http module.
//
// The thread holds a reference to the engine of its own, so that a client may be let go of on it.
#pragma once

#include <curl/curl.h>

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "base/environment.h"
#include "base/loop.h"
#include "http/client.h"
#include "http/probe.h"
#include "http/timers.h"
#include "http/transfer.h"

namespace depot::http {

class Engine final : public base::Loop, public std::enable_shared_from_this<Engine> {
 public:
  explicit Engine(Options options);
  ~Engine() override;

  // False in a child of the process that started the thread: nothing here may be touched then, not
  // even a lock (another thread may have held it when the process forked).
  bool usable_here() const;

  void post(Task task) override;
  TimerId run_after(std::chrono::milliseconds delay, Task task) override;
  void cancel_timer(TimerId id) override;
  bool on_loop_thread() const override;

  Client::CallId send(Request request, Client::Done done);
  void cancel(Client::CallId id);
  // Ends what is under way, then the thread; waits for it unless this is it.
  void stop();

 private:
  // A request on its way.
  struct Call final : Completion {
    Call(Engine* owner, Client::CallId id, Request request, Client::Done done)
        : engine(owner), transfer(id, std::move(request), std::move(done)) {}
    void complete(CURLcode code) override { engine->transferred(transfer.id, code); }

    Engine* engine;
    Transfer transfer;
  };
  // A server on its way to saying which version it speaks.
  struct Asking final : Completion {
    Asking(Engine* owner, const Url& url) : engine(owner), origin(url.origin), probe(url) {}
    void complete(CURLcode code) override { engine->asked(*this, code); }

    Engine* engine;
    std::string origin;
    Probe probe;
  };

  // Both under mutex_.
  base::Status start_thread();
  void wake();

  void run();
  void turn(bool* stopping);
  void poll();
  void shut_down();
  void take_messages();

  void begin(Client::CallId id);
  void launch(Call& call, long version);
  void transferred(Client::CallId id, CURLcode code);
  void finish(Client::CallId id, base::Result<Response> result);

  // engine_version.cc
  void ask_version(Call& call);
  void asked(Asking& asking, CURLcode code);
  void look_at_probes();
  void answered(const std::string& origin, Probe::Answer answer);
  void failed_to_ask(const std::string& origin, CURLcode code);
  void drop_probe(const std::string& origin);

  const Options options_;
  const base::Environment environment_;
  std::atomic<pid_t> owner_ = 0;  // the process with the thread; 0 before it starts

  std::mutex mutex_;
  std::vector<Task> posted_;                    // guarded by mutex_
  std::vector<std::unique_ptr<Call>> arrived_;  // guarded by mutex_
  std::vector<Client::CallId> cancelled_;       // guarded by mutex_
  bool wake_pending_ = false;                   // guarded by mutex_
  bool stopping_ = false;                       // guarded by mutex_
  bool closed_ = false;                         // guarded by mutex_
  Client::CallId next_call_ = 1;                // guarded by mutex_
  std::thread thread_;                          // guarded by mutex_ until stop()
  std::atomic<std::thread::id> thread_id_{};

  // The thread's own.
  CURLM* multi_ = nullptr;
  std::map<Client::CallId, std::unique_ptr<Call>> calls_;
  std::map<std::string, std::unique_ptr<Asking>> probes_;  // by origin
  std::map<std::string, long> versions_;                   // CURL_HTTP_VERSION_* by http:// origin
  Timers timers_;
};

}  // namespace depot::http

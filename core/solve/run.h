// What of one solve lives on the loop: session, Status and Solve, begun and ended in order. Private
// to the module; solve.h has the order and its reasons.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "base/id.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/status.h"
#include "buildkit/channel.h"
#include "session/session.h"
#include "solve/events.h"

namespace depot::solve {

// The loop's, but for what is said otherwise.
class Run : public std::enable_shared_from_this<Run> {
 public:
  Run(std::shared_ptr<buildkit::Channel> channel, std::shared_ptr<EventQueue> queue)
      : channel_(std::move(channel)), queue_(std::move(queue)) {}

  struct Limits {
    std::chrono::milliseconds timeout{0};  // 0: none
    std::chrono::milliseconds connect{0};  // for the connection to stand; 0: none
  };

  const std::string ref = base::random_id();
  const std::string session_id = base::random_id();

  // A request to the gateway, made in the frontend's place and answered into `gateway_answer`; "":
  // none.
  std::string call;
  // The file that is read from what the gateway made of `call`, and how much of it; "": none.
  std::string read_file;
  int64_t read_limit = 0;

  // Results: read by the caller's thread after kDone.
  base::Status outcome;
  std::string response;
  std::string gateway_answer;
  std::string file_read;
  std::vector<session::SyncTotals> synced;
  // What the session could not give, the first of it.
  std::vector<base::Status> failures;
  std::vector<session::TreeReceived> received;
  uint64_t export_bytes = 0;  // that went into sinks
  // Whether the builder was asked for anything; without a connection it was not.
  bool begun = false;
  std::chrono::steady_clock::time_point begun_at;

  void start(session::Options session_options, std::string request, const Limits& limits,
             base::LogSink log);
  // The caller, a callback or the clock wants it to end. The first reason counts.
  void stop(base::Status why);
  void resume_status() {
    if (status_) status_->resume_reading();
  }

 private:
  void after(std::chrono::milliseconds delay, void (*step)(Run&));
  void open_session(session::Options options);
  void begin(std::string request);
  void open_status();
  void open_solve(std::string request);
  void solve_answered(base::Result<std::string> answered);
  void open_call();
  void call_answered(base::Result<std::string> answered);
  void open_read(const std::string& from);
  void open_return(std::string request);
  void bridge_failed(base::Status status);
  std::shared_ptr<buildkit::Call> ask_bridge(std::string_view method, std::string request,
                                             void (Run::*answered)(base::Result<std::string>));
  void read_answered(base::Result<std::string> answered);
  void return_answered(base::Result<std::string> answered);
  void check_silence();
  void session_ended(base::Status status);
  void cut_off();
  void maybe_done();
  base::Status explain(const base::Status& status) const;

  std::shared_ptr<buildkit::Channel> channel_;
  std::shared_ptr<EventQueue> queue_;
  base::LogSink log_;
  std::shared_ptr<session::Session> session_;
  std::shared_ptr<buildkit::Call> solve_;
  std::shared_ptr<buildkit::Call> status_;
  std::shared_ptr<buildkit::Call> bridge_;
  base::Status bridge_status_;
  std::vector<base::Loop::TimerId> timers_;
  base::Status stop_;
  base::Status session_status_;
  bool starting_ = true, solve_done_ = false, status_done_ = false, session_done_ = false;
  bool heard_ = false, done_ = false;
};

}  // namespace depot::solve

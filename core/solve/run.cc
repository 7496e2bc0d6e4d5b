#include "solve/run.h"

#include <moby/buildkit/v1/control.pb.h>
#include <moby/buildkit/v1/frontend/gateway.pb.h>

#include <string_view>
#include <utility>

#include "base/clock.h"
#include "wire/methods.h"

namespace depot::solve {
namespace {

using base::Code;
using base::Hop;
using base::Status;
using namespace std::chrono_literals;
namespace control = ::moby::buildkit::v1;
namespace gateway = ::moby::buildkit::v1::frontend;

constexpr char kBuildId[] = "buildkit-controlapi-buildid";

constexpr auto kStatusSilence =
    5000ms;                             // after Solve answered, as BuildKit's own client since 0.27
constexpr auto kSessionGrace = 5000ms;  // for the daemon to end a session that we half-closed
constexpr auto kLongestDrain = 30000ms;  // of a Status that never falls silent
constexpr auto kCancelGrace = 100ms;     // for Status and session to end by themselves
constexpr size_t kMostFailures = 100;    // that are remembered
constexpr auto kSessionLost = 2000ms;    // Solve's chance to tell why, when the session ended first

// The daemon's words for what a registry refused, and ours (registry/token_fetch.cc) for its token
// server, which come back through the daemon.
void look_for_registry(base::Error& error) {
  auto has = [&](std::string_view text) { return error.message.find(text) != std::string::npos; };
  bool token = has("cannot fetch a") && has(" token of registry ");
  bool refused = has("401 Unauthorized") || has("authorization failed") ||
                 has("failed to authorize") || has("insufficient_scope") ||
                 has("no basic auth credentials") ||
                 (token && error.code == Code::kUnauthenticated);
  if (refused) {
    if (error.code == Code::kUnknown) error.code = Code::kUnauthenticated;
    error.hint = "log in to that registry (docker login), or give credentials for its host";
  }
  if (refused || token || has("failed to push")) error.hop = Hop::kRegistry;
}

// The daemon's words for a secret that the request has not.
void look_for_secret(base::Error& error) {
  constexpr std::string_view kBefore = "secret ", kAfter = ": not found";
  std::string_view text = error.message;
  if (!text.ends_with(kAfter)) return;
  text.remove_suffix(kAfter.size());
  size_t at = text.rfind(": secret ");
  size_t id = at == text.npos ? (text.starts_with(kBefore) ? 0 : text.npos) : at + 2;
  if (id == text.npos) return;
  std::string name(text.substr(id + kBefore.size()));
  error.code = Code::kNotFound;
  error.hop = Hop::kSession;
  error.message = "the build needs a secret \"" + name + "\" that it was not given";
  error.hint =
      "give it: --secret id=" + name + ",src=FILE or --secret id=" + name +
      ",env=VARIABLE, or the request's secrets; a mount without required=true does without";
}

// Ours for an SSH id that the request has not, and the daemon's when it has none at all.
void look_for_ssh(base::Error& error) {
  constexpr std::string_view kOurs = "unset ssh forward key ";
  constexpr std::string_view kBefore = "no SSH key \"", kAfter = "\" forwarded from the client";
  std::string_view text = error.message;
  std::string id;
  if (size_t at = text.rfind(kOurs); at != text.npos) {
    id = text.substr(at + kOurs.size());
  } else if (at = text.rfind(kBefore); at != text.npos && text.ends_with(kAfter)) {
    text.remove_suffix(kAfter.size());
    id = text.substr(at + kBefore.size());
  } else {
    return;
  }
  if (id.empty()) id = "default";  // a mount that names none
  error.code = Code::kNotFound;
  error.hop = Hop::kSession;
  error.message = "the build needs the SSH agent \"" + id + "\" that it was not given";
  error.hint = "forward it: --ssh " + id + " for the agent that runs here, --ssh " + id +
               "=PATH for a socket or a key, or the request's ssh; a mount without required=true "
               "does without";
}

}  // namespace

void Run::start(session::Options session_options, std::string request, const Limits& limits,
                base::LogSink log) {
  log_ = std::move(log);
  auto self = shared_from_this();
  session_options.id = session_id;
  session_options.on_synced = [self](const session::SyncTotals& totals) {
    self->synced.push_back(totals);
  };
  session_options.on_failed = [self](const Status& failure) {
    if (self->failures.size() < kMostFailures) self->failures.push_back(failure);
  };
  session_options.on_received = [self](const session::TreeReceived& tree) {
    self->received.push_back(tree);
  };
  session_options.on_export_bytes = [self](uint64_t bytes) { self->export_bytes += bytes; };
  session_options.on_started = [self, request = std::move(request)]() mutable {
    self->begin(std::move(request));
  };
  open_session(std::move(session_options));
  if (limits.timeout > 0ms) {
    timers_.push_back(channel_->loop().run_after(limits.timeout, [self, limits] {
      std::string time = base::limit_text(limits.timeout);
      self->stop(self->begun ? Status(Code::kDeadlineExceeded, Hop::kSolve,
                                      "the solve was not done within " + time)
                             : Status(Code::kDeadlineExceeded, Hop::kMachine,
                                      "no connection to the builder at " +
                                          self->channel_->address() + " within " + time));
    }));
  }
  if (limits.connect > 0ms) {
    after(limits.connect, [](Run& run) {
      if (!run.begun) run.cut_off();
    });
  }
  starting_ = false;
  maybe_done();
}

// The caller, a callback or the clock wants it to end. The first reason counts.
void Run::stop(Status why) {
  if (done_ || !stop_.ok()) return;
  // Solve has answered, and a late cancel changes neither success nor failure: only what is
  // still waited for is cut short.
  if (solve_done_) return cut_off();
  stop_ = std::move(why);
  if (!begun) return cut_off();
  if (solve_) solve_->cancel();
  after(kCancelGrace, [](Run& run) { run.cut_off(); });
}

void Run::after(std::chrono::milliseconds delay, void (*step)(Run&)) {
  timers_.push_back(
      channel_->loop().run_after(delay, [self = shared_from_this(), step] { step(*self); }));
}

void Run::open_session(session::Options options) {
  session_ = session::Session::open(
      channel_, std::move(options),
      [self = shared_from_this()](Status status) { self->session_ended(std::move(status)); });
  if (session_done_) session_ = nullptr;  // it was refused before it began
}

// The connection stands, and what is sent now arrives after the session's opening.
void Run::begin(std::string request) {
  if (!stop_.ok()) return;
  begun = true;
  begun_at = std::chrono::steady_clock::now();
  open_status();
  open_solve(std::move(request));
  if (!call.empty() && !solve_done_) open_call();
}

void Run::open_status() {
  control::StatusRequest request;
  request.set_ref(ref);
  buildkit::CallOptions options;
  options.method = wire::kControlStatus;
  options.request = request.SerializeAsString();
  buildkit::CallObserver observer;
  auto self = shared_from_this();
  observer.on_message = [self](const buildkit::Message& message) {
    Event event;
    event.kind = Event::Kind::kStatus;
    event.bytes = message.flatten();
    self->heard_ = true;
    self->queue_->push(std::move(event));
    return !self->queue_->holds();
  };
  observer.on_done = [self](Status status) {
    self->status_ = nullptr;
    self->status_done_ = true;
    // Solve's answer is the truth: a Status that was cancelled, or asked for a job that Solve
    // never started, says nothing of its own.
    if (!status.ok() && !self->solve_done_ && self->stop_.ok())
      base::log(self->log_, base::LogLevel::kWarning, "status stream ended: " + status.message());
    self->maybe_done();
  };
  status_ = channel_->start(std::move(options), std::move(observer));
  if (status_done_) status_ = nullptr;
}

void Run::open_solve(std::string request) {
  buildkit::CallOptions options;
  options.method = wire::kControlSolve;
  options.request = std::move(request);
  solve_ = channel_->unary(std::move(options),
                           [self = shared_from_this()](base::Result<std::string> answered) {
                             self->solve_answered(std::move(answered));
                           });
  if (solve_done_) solve_ = nullptr;  // it was refused before it began
}

void Run::solve_answered(base::Result<std::string> answered) {
  solve_ = nullptr;
  solve_done_ = true;
  if (bridge_) bridge_->cancel();
  if (answered.ok())
    response = std::move(*answered);
  else  // one that we cancelled because of the frontend's refusal says nothing of its own
    outcome = bridge_status_.ok() ? answered.status() : bridge_status_;
  if (stop_.ok()) {
    if (session_) session_->close();
    heard_ = false;
    after(kStatusSilence, [](Run& run) { run.check_silence(); });
    after(kSessionGrace, [](Run& run) {
      if (run.session_) run.session_->cancel();
    });
    after(kLongestDrain, [](Run& run) { run.cut_off(); });
  }
  maybe_done();
}

std::shared_ptr<buildkit::Call> Run::ask_bridge(std::string_view method, std::string request,
                                                void (Run::*answered)(base::Result<std::string>)) {
  buildkit::CallOptions options;
  options.method = method;
  options.metadata.emplace_back(kBuildId, ref);
  options.request = std::move(request);
  return channel_->unary(std::move(options),
                         [self = shared_from_this(), answered](base::Result<std::string> answer) {
                           self->bridge_ = nullptr;
                           if (!self->solve_done_ && self->stop_.ok())
                             ((*self).*answered)(std::move(answer));
                         });
}

void Run::bridge_failed(Status status) {
  bridge_status_ = std::move(status);
  if (solve_) solve_->cancel();
}

// Solve waits for somebody to be its frontend. The builder has these calls wait for Solve to begin.
void Run::open_call() {
  bridge_ = ask_bridge(wire::kBridgeSolve, std::move(call), &Run::call_answered);
}

void Run::call_answered(base::Result<std::string> answered) {
  if (!answered.ok()) return bridge_failed(answered.status());
  gateway::SolveResponse given;
  if (!given.ParseFromString(*answered))
    return bridge_failed(
        Status(Code::kInternal, Hop::kMachine, "the gateway's answer cannot be parsed"));
  gateway_answer = std::move(*answered);
  if (!read_file.empty()) return open_read(given.result().ref().id());
  // What the frontend gave is what the build gives: Solve ends by it.
  gateway::ReturnRequest request;
  request.mutable_result()->Swap(given.mutable_result());
  open_return(request.SerializeAsString());
}

void Run::open_read(const std::string& from) {
  gateway::ReadFileRequest request;
  request.set_ref(from);
  request.set_filepath(read_file);
  request.mutable_range()->set_length(read_limit + 1);
  bridge_ = ask_bridge(wire::kBridgeReadFile, request.SerializeAsString(), &Run::read_answered);
}

void Run::read_answered(base::Result<std::string> answered) {
  if (!answered.ok()) return bridge_failed(answered.status());
  gateway::ReadFileResponse given;
  if (!given.ParseFromString(*answered))
    return bridge_failed(
        Status(Code::kInternal, Hop::kMachine, "ReadFile: the answer cannot be parsed"));
  file_read = std::move(*given.mutable_data());
  gateway::ReturnRequest nothing;
  nothing.mutable_result();
  open_return(nothing.SerializeAsString());
}

void Run::open_return(std::string request) {
  bridge_ = ask_bridge(wire::kBridgeReturn, std::move(request), &Run::return_answered);
}

void Run::return_answered(base::Result<std::string> answered) {
  if (!answered.ok()) bridge_failed(answered.status());
}

void Run::check_silence() {
  if (status_done_ || !status_) return;
  if (!heard_) {
    status_->cancel();
    return;
  }
  heard_ = false;
  after(kStatusSilence, [](Run& run) { run.check_silence(); });
}

void Run::session_ended(Status status) {
  session_ = nullptr;
  session_done_ = true;
  session_status_ = std::move(status);
  if (!begun) {
    // No connection, and so nothing else to wait for.
    solve_done_ = status_done_ = true;
    outcome = session_status_.ok()
                  ? Status(Code::kUnavailable, Hop::kMachine,
                           "no connection to the builder at " + channel_->address())
                  : session_status_;
    return maybe_done();
  }
  // Without a session Solve may wait for ever: give it a moment to tell its own story.
  if (!solve_done_ && stop_.ok()) {
    after(kSessionLost, [](Run& run) {
      if (!run.solve_done_ && run.solve_) run.solve_->cancel();
    });
  }
  maybe_done();
}

void Run::cut_off() {
  if (bridge_) bridge_->cancel();
  if (solve_) solve_->cancel();
  if (status_) status_->cancel();
  if (session_) session_->cancel();
}

void Run::maybe_done() {
  if (starting_ || done_ || !solve_done_ || !status_done_) return;
  if (!session_done_) {
    // Nothing comes over it any more, also after a cancel: whoever half-closed and waited for the
    // daemon's end would wait for a round trip.
    if (session_) session_->cancel();
    return;
  }
  done_ = true;
  for (auto timer : timers_) channel_->loop().cancel_timer(timer);
  timers_.clear();
  if (!stop_.ok() && !outcome.ok())
    outcome = stop_;
  else if (!outcome.ok() && begun)
    outcome = explain(outcome);
  queue_->push(Event{});
}

// Which hop it was, as far as the transport's words tell.
Status Run::explain(const Status& status) const {
  base::Error error = status.error();
  bool from_builder = !error.details.empty();
  auto has = [&](std::string_view text) { return error.message.find(text) != std::string::npos; };
  // A session that was cancelled went with the connection, which we closed ourselves.
  if (!session_status_.ok() && session_status_.code() != Code::kCancelled &&
      (has("no active session") || error.code == Code::kCancelled)) {
    error.hop = Hop::kSession;
    error.code = Code::kUnavailable;
    error.message = session_status_.message() + " (" + error.message + ")";
    error.retryable = true;
    return Status(std::move(error));
  }
  if (error.code == Code::kUnavailable && !from_builder) {
    error.hop = Hop::kMachine;
    error.message =
        "lost the connection to the builder at " + channel_->address() + ": " + error.message;
    return Status(std::move(error));
  }
  error.hop = Hop::kSolve;
  // A step that ran: the message has its command, whose words may be any.
  if (error.exit_code < 0) {
    look_for_registry(error);
    look_for_secret(error);
    look_for_ssh(error);
  }
  error.message = "failed to solve: " + error.message;
  return Status(std::move(error));
}

}  // namespace depot::solve

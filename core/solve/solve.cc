#include "solve/solve.h"

#include <moby/buildkit/v1/control.pb.h>
#include <openssl/evp.h>

#include <array>
#include <filesystem>

#include "base/id.h"
#include "base/pool.h"
#include "session/file_sink.h"
#include "solve/events.h"
#include "solve/tracker.h"
#include "wire/methods.h"

namespace depot::solve {
namespace {

using base::Code;
using base::Hop;
using base::Status;
using namespace std::chrono_literals;
namespace control = ::moby::buildkit::v1;

constexpr auto kStatusSilence =
    5000ms;                             // after Solve answered, as BuildKit's own client since 0.27
constexpr auto kSessionGrace = 5000ms;  // for the daemon to end a session that we half-closed
constexpr auto kLongestDrain = 30000ms;  // of a Status that never falls silent
constexpr auto kCancelGrace = 100ms;     // for Status and session to end by themselves
constexpr auto kSessionLost = 2000ms;    // Solve's chance to tell why, when the session ended first
// Daemons up to 0.13 take 4 MiB messages.
constexpr size_t kMaxRequest = (4 << 20) - 1024;
constexpr size_t kPoolThreads = 4;
// Local dirs that are walked at a time; the daemon asks for three or four in a build.
constexpr size_t kMaxWalks = 64;

// Stable per directory and free of secrets: the daemon re-syncs a directory by it
// (protocol.md 2.1). Made from the path, not from a stored node id, so that CI runners that check
// out to the same path share what the builder has of it.
std::string shared_key(const Request& request) {
  auto context = request.locals.find("context");
  if (context == request.locals.end()) return "";
  std::error_code error;
  auto path = std::filesystem::weakly_canonical(context->second, error);
  if (error) path = context->second;
  std::array<unsigned char, 32> hash{};
  std::string text = path.string();
  unsigned int size = 0;
  EVP_Digest(text.data(), text.size(), hash.data(), &size, EVP_sha256(), nullptr);
  constexpr char kHex[] = "0123456789abcdef";
  std::string key;
  // gRPC metadata is printable ASCII: other bytes of the name are left to the hash.
  for (char c : path.filename().string())
    if (c > ' ' && c < 0x7f) key.push_back(c);
  key.push_back(':');
  for (size_t i = 0; i < 8; ++i) {
    key.push_back(kHex[hash[i] >> 4]);
    key.push_back(kHex[hash[i] & 15]);
  }
  return key;
}

std::string encode(const Request& request, const std::string& ref, const std::string& session) {
  control::SolveRequest message;
  message.set_ref(ref);
  message.set_session(session);
  message.set_frontend(request.frontend);
  for (const auto& [key, value] : request.attrs) (*message.mutable_frontendattrs())[key] = value;
  for (const auto& target : request.exports) {
    auto* exporter = message.add_exporters();
    exporter->set_type(target.type);
    for (const auto& [key, value] : target.attrs) (*exporter->mutable_attrs())[key] = value;
  }
  // Daemons before 0.13, and Depot's, read the first exporter here.
  if (!request.exports.empty()) {
    message.set_exporterdeprecated(request.exports[0].type);
    for (const auto& [key, value] : request.exports[0].attrs)
      (*message.mutable_exporterattrsdeprecated())[key] = value;
  }
  message.mutable_cache();
  message.set_internal(request.internal);
  return message.SerializeAsString();
}

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

// Everything of one run that lives on the loop thread.
class Run : public std::enable_shared_from_this<Run> {
 public:
  Run(std::shared_ptr<buildkit::Channel> channel, std::shared_ptr<EventQueue> queue)
      : channel_(std::move(channel)), queue_(std::move(queue)) {}

  const std::string ref = base::random_id();
  const std::string session_id = base::random_id();

  // Results: read by the caller's thread after kDone.
  Status outcome;
  std::string response;
  std::vector<session::SyncTotals> synced;

  void start(session::Options session_options, std::string request,
             std::chrono::milliseconds timeout, base::LogSink log) {
    log_ = std::move(log);
    auto self = shared_from_this();
    session_options.id = session_id;
    session_options.on_synced = [self](const session::SyncTotals& totals) {
      self->synced.push_back(totals);
    };
    open_session(std::move(session_options));
    open_status();
    open_solve(std::move(request));
    if (timeout > 0ms) {
      timers_.push_back(channel_->loop().run_after(timeout, [self, timeout] {
        self->stop(
            Status(Code::kDeadlineExceeded, Hop::kSolve,
                   "the solve was not done within " + std::to_string(timeout.count()) + " ms"));
      }));
    }
    starting_ = false;
    maybe_done();
  }

  // The caller, a callback or the clock wants it to end. The first reason counts.
  void stop(Status why) {
    if (done_ || !stop_.ok()) return;
    // Solve has answered, and a late cancel changes neither success nor failure: only what is
    // still waited for is cut short.
    if (solve_done_) return cut_off();
    stop_ = std::move(why);
    if (solve_) solve_->cancel();
    after(kCancelGrace, [](Run& run) { run.cut_off(); });
  }

  void resume_status() {
    if (status_) status_->resume_reading();
  }

 private:
  void after(std::chrono::milliseconds delay, void (*step)(Run&)) {
    timers_.push_back(
        channel_->loop().run_after(delay, [self = shared_from_this(), step] { step(*self); }));
  }

  void open_session(session::Options options) {
    session_ = session::Session::open(
        channel_, std::move(options),
        [self = shared_from_this()](Status status) { self->session_ended(std::move(status)); });
    if (session_done_) session_ = nullptr;  // it was refused before it began
  }

  void open_status() {
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
      return self->queue_->status_bytes() < EventQueue::kStatusHigh;
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

  void open_solve(std::string request) {
    buildkit::CallOptions options;
    options.method = wire::kControlSolve;
    options.request = std::move(request);
    solve_ = channel_->unary(std::move(options),
                             [self = shared_from_this()](base::Result<std::string> answer) {
                               self->solve_answered(std::move(answer));
                             });
    if (solve_done_) solve_ = nullptr;  // it was refused before it began
  }

  void solve_answered(base::Result<std::string> answer) {
    solve_ = nullptr;
    solve_done_ = true;
    if (answer.ok())
      response = std::move(*answer);
    else
      outcome = answer.status();
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

  void check_silence() {
    if (status_done_ || !status_) return;
    if (!heard_) {
      status_->cancel();
      return;
    }
    heard_ = false;
    after(kStatusSilence, [](Run& run) { run.check_silence(); });
  }

  void session_ended(Status status) {
    session_ = nullptr;
    session_done_ = true;
    session_status_ = std::move(status);
    // Without a session Solve may wait for ever: give it a moment to tell its own story.
    if (!solve_done_ && stop_.ok()) {
      after(kSessionLost, [](Run& run) {
        if (!run.solve_done_ && run.solve_) run.solve_->cancel();
      });
    }
    maybe_done();
  }

  void cut_off() {
    if (solve_) solve_->cancel();
    if (status_) status_->cancel();
    if (session_) session_->cancel();
  }

  void maybe_done() {
    if (starting_ || done_ || !solve_done_ || !status_done_) return;
    if (!session_done_) {
      // A cancelled solve: the final states are in, now the session may go.
      if (!stop_.ok() && session_) session_->close();
      return;
    }
    done_ = true;
    for (auto timer : timers_) channel_->loop().cancel_timer(timer);
    timers_.clear();
    if (!stop_.ok() && !outcome.ok())
      outcome = stop_;
    else if (!outcome.ok())
      outcome = explain(outcome);
    queue_->push(Event{});
  }

  // Which hop it was, as far as the transport's words tell.
  Status explain(const Status& status) const {
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
    if (error.exit_code < 0) look_for_registry(error);
    error.message = "failed to solve: " + error.message;
    return Status(std::move(error));
  }

  std::shared_ptr<buildkit::Channel> channel_;
  std::shared_ptr<EventQueue> queue_;
  base::LogSink log_;
  std::shared_ptr<session::Session> session_;
  std::shared_ptr<buildkit::Call> solve_;
  std::shared_ptr<buildkit::Call> status_;
  std::vector<base::Loop::TimerId> timers_;
  Status stop_;
  Status session_status_;
  bool starting_ = true, solve_done_ = false, status_done_ = false, session_done_ = false;
  bool heard_ = false, done_ = false;
};

// The task that begins a run. A loop that has stopped, because the machine was released just then,
// drops what is posted to it; whoever waits for the end has to hear of that, too.
class Begin {
 public:
  Begin(std::shared_ptr<Run> run, std::shared_ptr<EventQueue> queue)
      : run_(std::move(run)), queue_(std::move(queue)) {}
  Begin(const Begin&) = delete;
  Begin& operator=(const Begin&) = delete;
  ~Begin() {
    if (!run_) return;
    run_->outcome = base::cancelled_error("the machine was released");
    queue_->push(Event{});
  }
  std::shared_ptr<Run> take() { return std::exchange(run_, nullptr); }

 private:
  std::shared_ptr<Run> run_;
  std::shared_ptr<EventQueue> queue_;
};

struct Sinks {
  std::map<uint32_t, std::shared_ptr<session::ExportSink>> all;
  std::vector<std::shared_ptr<session::FileSink>> files;
};

base::Result<Sinks> make_sinks(const Request& request, const std::shared_ptr<base::Pool>& pool,
                               const std::shared_ptr<EventQueue>& queue) {
  Sinks sinks;
  for (size_t i = 0; i < request.exports.size(); ++i) {
    const Export& target = request.exports[i];
    auto index = static_cast<uint32_t>(i);
    if (target.writer) {
      sinks.all[index] = std::make_shared<CallbackSink>(queue, target.writer);
    } else if (!target.file.empty()) {
      DEPOT_ASSIGN(auto sink, session::FileSink::create(target.file, pool));
      sinks.files.push_back(sink);
      sinks.all[index] = sink;
    }
  }
  return sinks;
}

// The caller's thread: runs callbacks until the loop says that everything has ended.
Status deliver_events(EventQueue& queue, const std::shared_ptr<Run>& run,
                      buildkit::Channel& channel, const RunOptions& options, Tracker& tracker) {
  Status stopped;
  auto stop = [&](Status why) {
    if (!stopped.ok()) return;
    stopped = why;
    channel.loop().post([run, why] { run->stop(why); });
  };
  for (;;) {
    Event event = queue.pop();
    Status status;
    try {
      switch (event.kind) {
        case Event::Kind::kDone:
          return stopped;
        case Event::Kind::kStatus: {
          control::StatusResponse batch;
          if (!batch.ParseFromString(event.bytes)) {
            base::log(options.log, base::LogLevel::kWarning, "a status message cannot be parsed");
            break;
          }
          tracker.add(batch);
          if (options.on_status && stopped.ok()) {
            if (int32_t code = options.on_status(batch, event.bytes); code != 0)
              status = callback_error("status", code);
          }
          break;
        }
        case Event::Kind::kExport:
        case Event::Kind::kExportEnd:
          if (stopped.ok()) status = event.sink->deliver(event);
          break;
      }
    } catch (...) {
      // A callback that lets an exception out of C: it stops the solve like any other refusal.
      status = Status(Code::kCancelled, Hop::kCallback, "a callback threw an exception");
    }
    if (!status.ok()) stop(status);
    if (event.kind == Event::Kind::kStatus && queue.status_bytes() < EventQueue::kStatusHigh / 2)
      channel.loop().post([run] { run->resume_status(); });
  }
}

}  // namespace

base::Result<Result> run(const std::shared_ptr<buildkit::Channel>& channel, const Request& request,
                         const RunOptions& options) {
  if (!channel->usable_here()) {
    return Status(Code::kFailedPrecondition, Hop::kUsage,
                  "this process is a fork of the one that opened the connection")
        .with_hint("open clients and machines after fork(), not before");
  }
  auto queue = std::make_shared<EventQueue>();
  auto pool = std::make_shared<base::Pool>(kPoolThreads);
  // Joined when this returns, by this thread: the loop never waits for a disk.
  auto walkers = std::make_shared<base::Pool>(kMaxWalks);
  DEPOT_TRY(pool->start());
  DEPOT_ASSIGN(Sinks sinks, make_sinks(request, pool, queue));

  auto run = std::make_shared<Run>(channel, queue);
  std::string message = encode(request, run->ref, run->session_id);
  if (message.size() > kMaxRequest) {
    return base::usage_error("the solve request has " + std::to_string(message.size()) +
                             " bytes; builders take 4 MiB");
  }
  session::Options session;
  session.shared_key = shared_key(request);
  // The directory that a relative path means is the one it means now.
  for (const auto& [name, dir] : request.locals)
    session.locals.emplace(name, std::filesystem::absolute(dir).string());
  session.sinks = sinks.all;
  session.auth = options.auth;
  session.pool = pool;
  session.walkers = walkers;
  session.log = options.log;
  channel->loop().post([begin = std::make_shared<Begin>(run, queue), session = std::move(session),
                        message = std::move(message), timeout = options.timeout,
                        log = options.log]() mutable {
    begin->take()->start(std::move(session), std::move(message), timeout, std::move(log));
  });
  auto on_cancel = options.cancel.on_trigger(
      [channel, run] { channel->loop().post([run] { run->stop(base::cancelled_error()); }); });
  auto on_gone = options.machine_gone.on_trigger([channel, run, why = options.why_gone] {
    channel->loop().post(
        [run, why] { run->stop(why ? why() : base::cancelled_error("the machine was released")); });
  });

  Tracker tracker;
  Status stopped = deliver_events(*queue, run, *channel, options, tracker);
  Status outcome = run->outcome;
  // The loop that would have told which reason it was had ended already.
  if (options.machine_gone.triggered() && outcome.code() == Code::kCancelled && options.why_gone &&
      stopped.ok() && !options.cancel.triggered())
    outcome = options.why_gone();
  if (!outcome.ok()) {
    // A full disk is the story, not what the daemon made of our refusal.
    for (const auto& sink : sinks.files) {
      if (Status failure = sink->failure(); !failure.ok()) return failure;
    }
    // The same for a file of the context that could not be read.
    if (stopped.ok() && outcome.code() != Code::kCancelled) {
      for (const auto& synced : run->synced)
        if (synced.status.hop() == Hop::kLocal) return tracker.enrich(synced.status);
    }
    return tracker.enrich(outcome);
  }
  // The last callback may have refused after the daemon was done.
  if (!stopped.ok()) return stopped;
  control::SolveResponse response;
  if (!response.ParseFromString(run->response))
    return Status(Code::kInternal, Hop::kMachine, "Solve: the answer cannot be parsed");
  for (const auto& [index, sink] : sinks.all) {
    if (!sink->complete()) {
      return Status(Code::kDataLoss, Hop::kMachine,
                    "the builder did not send export " + std::to_string(index + 1))
          .with_hint("builders before 0.13 make one export of a build: ask for one at a time");
    }
  }
  for (const auto& sink : sinks.files) DEPOT_TRY(sink->commit());
  Result result;
  result.ref = run->ref;
  for (const auto& [key, value] : response.exporterresponse()) result.response.emplace(key, value);
  result.synced = std::move(run->synced);
  return result;
}

}  // namespace depot::solve

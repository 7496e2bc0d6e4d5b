#include "machine/machine.h"

#include <strings.h>

#include <algorithm>
#include <string_view>

#include "machine/logins.h"
#include "registry/proxies.h"
#include "solve/attributes.h"
#include "solve/capabilities.h"
#include "solve/docker_engine.h"
#include "solve/events.h"
#include "solve/fetch.h"
#include "solve/load_export.h"

namespace depot::machine {
namespace {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;
using Clock = std::chrono::steady_clock;

// For a connection to stand before asking whether there is a builder at all: longer than the round
// trips of any link, shorter than anybody minds.
constexpr std::chrono::seconds kFirstTry{3};
// Of any wait: more than that does not fit into a clock's time.
constexpr std::chrono::hours kLongest{24 * 365};

// What is left of a limit that began at `start`; zero is none.
std::chrono::milliseconds left_of(std::chrono::milliseconds limit, Clock::time_point start) {
  if (limit.count() <= 0) return limit;
  auto spent = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - start);
  return std::max(limit - spent, std::chrono::milliseconds(1));
}

}  // namespace

Machine::~Machine() {
  release();
}

Status Machine::gone_reason() const {
  std::lock_guard lock(mutex_);
  if (taken_away_ && build_->client()->kind() == Client::Kind::kLocal) {
    return Status(Code::kCancelled, Hop::kBuilder,
                  "the local builder ended the build: its machine was stopped by force, or the "
                  "build was canceled elsewhere")
        .with_hint("somebody ran `libdepot stop --force` or `libdepot reset --force`; build again");
  }
  if (taken_away_) {
    return Status(Code::kCancelled, Hop::kApi, "the API cancelled the build")
        .with_hint("it was cancelled on the server, or ran into a limit of the plan");
  }
  return Status(Code::kCancelled, Hop::kUsage, "the machine was released");
}

Status Machine::connect(const WaitOptions& options) {
  const auto patience = std::min<std::chrono::milliseconds>(this->patience(options), kLongest);
  const auto began = Clock::now();
  // Either switch ends the wait: the caller's, or the machine's own.
  base::Cancel either = options.cancel.child();
  auto gone = gone_.on_trigger([either] { either.trigger(); });
  auto stopped = either.on_trigger([this] {
    std::lock_guard lock(mutex_);
    connected_.notify_all();
  });
  {
    std::unique_lock lock(mutex_);
    bool free = connected_.wait_until(
        lock, began + patience, [&] { return !connecting_ || released_ || either.triggered(); });
    if (released_)
      return Status(Code::kFailedPrecondition, Hop::kUsage, "the machine was released");
    if (channel_) {
      if (channel_->usable_here()) return {};
      return Status(Code::kFailedPrecondition, Hop::kUsage,
                    "this process is a fork of the one that connected the machine")
          .with_hint("build first after fork(), or start the child anew by exec()");
    }
    if (!free)
      return Status(Code::kDeadlineExceeded, Hop::kMachine,
                    "another thread was still connecting the machine after " +
                        std::to_string(patience.count()) + " ms");
    if (connecting_) {
      lock.unlock();
      return gone_.triggered() ? gone_reason() : base::cancelled_error();
    }
    connecting_ = true;
  }
  struct Done {
    Machine& machine;
    ~Done() {
      std::lock_guard lock(machine.mutex_);
      machine.connecting_ = false;
      machine.connected_.notify_all();
    }
  } done{*this};
  auto spent = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - began);
  return connect_alone(either, std::max(patience - spent, std::chrono::milliseconds(1)));
}

std::vector<std::string> Machine::worker_platforms() const {
  std::lock_guard lock(mutex_);
  std::vector<std::string> out;
  for (const auto& worker : workers_)
    out.insert(out.end(), worker.platforms.begin(), worker.platforms.end());
  return out;
}

Status Machine::connect_alone(const base::Cancel& stop, std::chrono::milliseconds timeout) {
  const auto began = Clock::now();
  auto opened = build_->client()->channels().open(endpoint_, {stop, timeout});
  if (!opened.ok()) return gone_.triggered() ? gone_reason() : opened.status();
  auto channel = std::move(*opened);
  auto workers = buildkit::wait_ready(*channel, left_of(timeout, began), stop);
  if (!workers.ok()) {
    channel->stop();
    if (gone_.triggered()) return gone_reason();
    return workers.status();
  }
  bool late = false;
  {
    std::lock_guard lock(mutex_);
    late = released_;
    if (!late) {
      channel_ = channel;
      workers_ = std::move(*workers);
    }
  }
  if (late) {
    channel->stop();
    return gone_reason();
  }
  return {};
}

void Machine::release() {
  std::shared_ptr<buildkit::Channel> channel;
  {
    std::lock_guard lock(mutex_);
    if (!released_) {
      released_ = true;
      if (heartbeat_) heartbeat_->stop();
    }
    channel = std::move(channel_);
  }
  gone_.trigger();  // a solve under way ends its streams in order, then lets the channel go
  if (channel) channel->stop();
}

Result<solve::RunOptions> Machine::run_options(const solve::Request& ready,
                                               const SolveOptions& options) const {
  solve::RunOptions run;
  run.queue = std::make_shared<solve::EventQueue>();
  DEPOT_ASSIGN(run.auth, make_auth(*build_, ready, run.queue));
  run.cancel = options.cancel;
  run.machine_gone = gone_;
  run.why_gone = [this] { return gone_reason(); };
  run.on_status = [user = options.on_status,
                   report = build_->status_report()](const solve::StatusBatch& batch) -> int32_t {
    if (report) report->add(batch.bytes);
    return user ? user(batch) : 0;
  };
  run.load = load_options();
  run.log = build_->client()->options().log;
  run.timeout = options.timeout;
  return run;
}

load::Options Machine::load_options() const {
  load::Options load;
  load.environment = build_->client()->options().environment;
  load.allow_plaintext = build_->client()->options().allow_plaintext;
  return load;
}

Result<solve::Request> Machine::prepared(const solve::Request& request,
                                         const SolveOptions& options) const {
  solve::Request asked = request;
  DEPOT_TRY(build_->add_save(asked));
  DEPOT_ASSIGN(solve::Request ready,
               solve::prepare(std::move(asked), build_->client()->options().environment,
                              {options.cancel, options.timeout}));
  add_proxies(ready);
  return ready;
}

Result<solve::Result> Machine::solve(const solve::Request& request, const SolveOptions& options) {
  DEPOT_ASSIGN(solve::Request ready, prepared(request, options));
  auto start = Clock::now();
  DEPOT_TRY(solve::find_stores(ready, engine_ ? endpoint_.address : "", load_options(),
                               {options.cancel, options.timeout}));
  WaitOptions wait;
  wait.cancel = options.cancel;
  if (options.timeout.count() > 0) wait.timeout = left_of(options.timeout, start);
  const auto asked = Clock::now();
  DEPOT_TRY(connect(wait));
  const auto connected = Clock::now() - asked;
  std::shared_ptr<buildkit::Channel> channel;
  Status lacks;
  std::string gateway;
  bool containerd_store = false;
  {
    std::lock_guard lock(mutex_);
    channel = channel_;
    lacks = solve::check_builder(solve::needs(ready), workers_);
    gateway = solve::host_gateway(workers_);
    containerd_store = solve::has_containerd_store(workers_);
    solve::send_apart(ready, workers_);
  }
  if (!channel) return gone_reason();
  DEPOT_TRY(lacks);
  if (solve::needs_host_gateway(ready)) DEPOT_TRY(solve::resolve_hosts(ready, gateway));
  if (engine_) {
    // Who builds with a Docker Engine and says nothing of a result expects an image there.
    if (request.exports.empty() && ready.exports.empty() && ready.call.empty())
      ready.exports.push_back({"image", {}, "", nullptr});
    DEPOT_ASSIGN(ready, solve::fit_engine(std::move(ready), containerd_store));
  }
  if (!ready.dockerfile_url.empty()) {
    DEPOT_ASSIGN(auto before, run_options(ready, options));
    before.timeout = left_of(options.timeout, start);
    DEPOT_TRY(solve::fetch_dockerfile(channel, ready, before));
  }
  DEPOT_ASSIGN(auto run, run_options(ready, options));
  run.timeout = left_of(options.timeout, start);
  solve::Came came;
  auto timed = [&](Result<solve::Result> result) {
    if (!result.ok()) return result;
    result->stats.connect += connected;
    if (!ready.record_provenance.empty() && ready.call.empty())
      add_attestations(*result, ready, channel, options.cancel, left_of(options.timeout, start));
    return result;
  };
  auto result = timed(solve::run(channel, ready, run, &came));
  bool over = options.cancel.triggered() || gone_.triggered();
  if (result.ok() || !came.apart || over || result.status().hop() == Hop::kCallback ||
      result.status().code() == Code::kDeadlineExceeded)
    return named(std::move(result), ready);
  base::log(run.log, base::LogLevel::kWarning,
            "the layers that are missing could not be loaded alone, so all of the image is sent: " +
                result.status().message());
  solve::send_whole(ready);
  DEPOT_ASSIGN(run, run_options(ready, options));
  run.timeout = left_of(options.timeout, start);
  return named(timed(solve::run(channel, ready, run)), ready);
}

Result<solve::Result> Machine::solve_once(const solve::Request& request,
                                          const SolveOptions& options) {
  DEPOT_ASSIGN(solve::Request ready, prepared(request, options));
  auto start = Clock::now();
  // Whether it can do what not every builder can would have to be asked first, and so its address.
  // So would an image store, for what it takes.
  // And what the builder fetches first, or is asked afterwards, is one more question.
  if (!dialled_ && !solve::loads(ready) && solve::needs(ready).empty() &&
      ready.dockerfile_url.empty() && ready.record_provenance.empty() &&
      !solve::needs_host_gateway(ready)) {
    DEPOT_ASSIGN(auto run, run_options(ready, options));
    run.connect_within = kFirstTry;
    DEPOT_ASSIGN(auto channel, build_->client()->channels().open(endpoint_));
    solve::Came came;
    auto result = solve::run(channel, ready, run, &came);
    channel->stop();
    bool over = options.cancel.triggered() || gone_.triggered();
    if (came.begun || over || result.status().code() == Code::kDeadlineExceeded)
      return named(std::move(result), ready);
  }
  // The patience that a machine needs while it starts, and the reasons why there is no connection.
  SolveOptions rest = options;
  rest.timeout = left_of(options.timeout, start);
  return solve(request, rest);
}

void Machine::add_proxies(solve::Request& ready) const {
  if (ready.docker_config && ready.docker_config->empty()) return;
  auto proxies =
      registry::docker_proxies(docker_environment(*build_->client(), ready),
                               build_->client()->options().environment.get_or("HOME", ""));
  if (!proxies.ok()) {
    // A build that needs a login from there fails by it; another one need not.
    base::log(build_->client()->options().log, base::LogLevel::kWarning,
              "no proxies are taken from docker's config: " + proxies.status().message());
    return;
  }
  constexpr std::string_view kArg = "build-arg:";
  for (const auto& [name, value] : *proxies) {
    bool given = std::any_of(ready.attrs.begin(), ready.attrs.end(), [&](const auto& attr) {
      return attr.first.starts_with(kArg) && attr.first.size() == kArg.size() + name.size() &&
             ::strcasecmp(attr.first.c_str() + kArg.size(), name.c_str()) == 0;
    });
    if (!given) ready.attrs.emplace(std::string(kArg) + name, value);
  }
}

}  // namespace depot::machine

#include "machine/machine.h"

#include <strings.h>

#include <algorithm>
#include <set>
#include <sstream>
#include <string_view>

#include "registry/auth.h"
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

// As BuildKit's image exporter reads it.
bool pushes(const solve::Export& one) {
  auto push = one.attrs.find("push");
  if ((one.type != "image" && one.type != "moby") || push == one.attrs.end()) return false;
  static constexpr std::string_view kTrue[] = {"", "1", "t", "T", "true", "TRUE", "True"};
  return std::find(std::begin(kTrue), std::end(kTrue), push->second) != std::end(kTrue);
}

// The registries that `ready` (a prepared request) pushes to.
std::set<std::string, std::less<>> push_hosts(const solve::Request& ready) {
  std::set<std::string, std::less<>> hosts;
  for (const auto& one : ready.exports) {
    auto names = one.attrs.find("name");
    if (!pushes(one) || names == one.attrs.end()) continue;
    std::istringstream list(names->second);
    for (std::string name; std::getline(list, name, ',');)
      if (auto full = solve::canonical_name(name); full.ok())
        hosts.insert(full->substr(0, full->find('/')));
  }
  return hosts;
}

// Asks the caller, on the caller's thread, and waits there for the answer.
class CallbackCredentials final : public registry::CredentialSource {
 public:
  CallbackCredentials(std::shared_ptr<solve::LoginReader> reader,
                      std::shared_ptr<solve::EventQueue> queue)
      : reader_(std::move(reader)), queue_(std::move(queue)) {}

  Result<std::optional<registry::Credentials>> find(const std::string& host,
                                                    const base::Cancel& cancel) override {
    auto login = std::make_shared<std::optional<solve::RegistryLogin>>();
    bool ran = queue_->call(
        [reader = reader_, host, login]() -> Status {
          int32_t code = (*reader)(host, *login);
          if (code == 0) return {};
          login->reset();
          return solve::callback_error("registry login", code);
        },
        cancel);
    if (!ran) return base::cancelled_error();
    if (!*login) return std::optional<registry::Credentials>();
    registry::Credentials credentials;
    credentials.username = (*login)->username;
    credentials.identity_token = credentials.username.empty();
    credentials.secret = std::move((*login)->password);
    return std::optional<registry::Credentials>(std::move(credentials));
  }

 private:
  std::shared_ptr<solve::LoginReader> reader_;
  std::shared_ptr<solve::EventQueue> queue_;
};

bool ask_realm(solve::EventQueue& queue, const std::shared_ptr<solve::RealmReader>& reader,
               const std::string& host, const std::string& realm, const base::Cancel& cancel) {
  auto allowed = std::make_shared<bool>(false);
  bool ran = queue.call(
      [reader, host, realm, allowed]() -> Status {
        *allowed = (*reader)(host, realm) != 0;
        return {};
      },
      cancel);
  return ran && *allowed;
}

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
          .with_hint("open clients and machines after fork(), not before");
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
  DEPOT_ASSIGN(run.auth, make_auth(ready, run.queue));
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

Result<solve::Result> Machine::solve(const solve::Request& request, const SolveOptions& options) {
  // What is wrong with the request is told before anything is asked of the network.
  DEPOT_ASSIGN(solve::Request ready,
               solve::prepare(request, build_->client()->options().environment,
                              {options.cancel, options.timeout}));
  add_proxies(ready);
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
    return result;
  base::log(run.log, base::LogLevel::kWarning,
            "the layers that are missing could not be loaded alone, so all of the image is sent: " +
                result.status().message());
  solve::send_whole(ready);
  DEPOT_ASSIGN(run, run_options(ready, options));
  run.timeout = left_of(options.timeout, start);
  return timed(solve::run(channel, ready, run));
}

Result<solve::Result> Machine::solve_once(const solve::Request& request,
                                          const SolveOptions& options) {
  DEPOT_ASSIGN(solve::Request ready,
               solve::prepare(request, build_->client()->options().environment,
                              {options.cancel, options.timeout}));
  add_proxies(ready);
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
    if (came.begun || over || result.status().code() == Code::kDeadlineExceeded) return result;
  }
  // The patience that a machine needs while it starts, and the reasons why there is no connection.
  SolveOptions rest = options;
  rest.timeout = left_of(options.timeout, start);
  return solve(request, rest);
}

base::Environment Machine::docker_environment(const solve::Request& request) const {
  const base::Environment& environment = build_->client()->options().environment;
  if (!request.docker_config) return environment;
  auto values = environment.all();
  values["DOCKER_CONFIG"] = *request.docker_config;
  return base::Environment(std::move(values));
}

void Machine::add_proxies(solve::Request& ready) const {
  if (ready.docker_config && ready.docker_config->empty()) return;
  auto proxies = registry::docker_proxies(
      docker_environment(ready), build_->client()->options().environment.get_or("HOME", ""));
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

Result<std::shared_ptr<registry::Auth>> Machine::make_auth(
    const solve::Request& request, const std::shared_ptr<solve::EventQueue>& queue) const {
  const Client& client = *build_->client();
  registry::AuthOptions auth;
  auth.environment = docker_environment(request);
  auth.home = client.options().environment.get_or("HOME", "");
  auth.log = client.options().log;
  auth.http = [shared = build_->client()] { return shared->http(); };
  auth.push_hosts = push_hosts(request);
  if (request.docker_config) auth.docker_config = !request.docker_config->empty();
  for (const auto& login : request.logins) {
    registry::Credentials credentials;
    credentials.username = login.username;
    credentials.identity_token = login.username.empty();
    credentials.secret = login.password;
    auth.fixed.emplace(login.host, std::move(credentials));
  }
  for (const auto& [host, encoded] : build_->credentials()) {
    DEPOT_ASSIGN(auto credentials, registry::credentials_from_base64(
                                       encoded.reveal(), "the API's credentials for " + host));
    auth.fixed.emplace(host, std::move(credentials));
  }
  if (request.login_reader) {
    auth.sources.push_back(std::make_shared<CallbackCredentials>(request.login_reader, queue));
  }
  auth.consent = [realms = request.realms, reader = request.realm_reader, queue](
                     const std::string& host, const std::string& realm,
                     const base::Cancel& cancel) {
    if (realms.contains({registry::config_key(host), realm})) return true;
    return reader && ask_realm(*queue, reader, host, realm, cancel);
  };
  // A step of its own names each party that got a secret.
  auth.on_shared = [log = client.options().log, queue](const std::string& host,
                                                       const std::string& realm) {
    base::log(log, base::LogLevel::kInfo,
              "credentials of registry " + host + " go to " +
                  (realm.empty() ? "the builder" : "the token server " + realm));
    queue->push(solve::credential_event(host, realm));
  };
  return registry::Auth::create(std::move(auth));
}

Result<FlowResult> run_flow(const std::shared_ptr<Client>& client, const BuildOptions& options,
                            const std::string& platform, const solve::Request& request,
                            const SolveOptions& solve_options) {
  // One switch and one clock for all of it.
  const auto began = Clock::now();
  BuildOptions build_options = options;
  base::Cancel either = solve_options.cancel.child();
  auto also = options.cancel.on_trigger([either] { either.trigger(); });
  build_options.cancel = either;
  if (build_options.context_dir.empty()) {
    auto context = request.locals.find("context");
    if (context != request.locals.end()) build_options.context_dir = context->second;
  }
  DEPOT_ASSIGN(solve::Request ready, solve::prepare(request, client->options().environment,
                                                    {either, solve_options.timeout}));
  for (const auto& tag : request.tags) {
    auto& tags = build_options.tags;
    if (std::find(tags.begin(), tags.end(), tag) == tags.end()) tags.push_back(tag);
  }
  for (const auto& one : ready.exports) build_options.push |= pushes(one);
  const bool timed = solve_options.timeout.count() > 0;
  const auto deadline = began + solve_options.timeout;
  // Of the caller's time; zero is "as long as each step has by itself".
  auto left = [&] {
    if (!timed) return std::chrono::milliseconds(0);
    auto rest = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
    return std::max(rest, std::chrono::milliseconds(1));
  };
  if (timed) build_options.timeout = std::min(build_options.timeout, left());
  const auto asked = Clock::now();
  DEPOT_ASSIGN(auto build, Build::create(client, build_options));
  auto attempt = [&]() -> Result<FlowResult> {
    WaitOptions wait;
    wait.cancel = either;
    wait.timeout = left();
    std::string machine_platform = platform;
    if (machine_platform.empty()) {
      // The request's own platform, when there is one machine kind for it.
      auto wanted = request.attrs.find("platform");
      if (wanted != request.attrs.end() &&
          (wanted->second == "linux/arm64" || wanted->second == "linux/amd64"))
        machine_platform = wanted->second;
    }
    DEPOT_ASSIGN(auto machine, Machine::acquire(build, machine_platform, wait));
    const auto acquired = Clock::now() - asked;
    SolveOptions solve = solve_options;
    solve.cancel = either;
    solve.timeout = left();
    auto result = machine->solve_once(request, solve);
    machine->release();
    if (!result.ok()) return result.status();
    result->stats.acquire = acquired;
    return FlowResult{std::move(*result), build->id(), build->url()};
  };
  auto result = attempt();
  Status status = result.status();
  Status finished;
  if (status.ok())
    finished = build->finish(Outcome::kSuccess, "");
  else if (status.code() == Code::kCancelled)
    finished = build->finish(Outcome::kCanceled, "");
  else
    finished = build->finish(Outcome::kFailed, status.message());
  // The image is there: that the API did not hear of it does not unmake it.
  if (!finished.ok())
    base::log(client->options().log, base::LogLevel::kWarning,
              "the API was not told how the build ended: " + finished.message());
  return result;
}

}  // namespace depot::machine

#include "machine/build.h"

#include "depotapi/resolve.h"
#include "localbuilder/launcher.h"

namespace depot::machine {
namespace {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;
using Clock = std::chrono::steady_clock;

// FinishBuild is worth waiting for, but not for ever: the lease ends by itself.
constexpr std::chrono::milliseconds kFinishTimeout{30000};
constexpr std::chrono::milliseconds kStatusTimeout{10000};
// What of the status is not with the API by then is not shown on its page.
constexpr std::chrono::milliseconds kStatusPatience{5000};
constexpr std::chrono::milliseconds kStatusPatienceCanceled{100};

struct Api {
  std::shared_ptr<http::Client> http;
  std::shared_ptr<depotapi::BuildApi> api;
};

Api open_api(const Client& client, const std::string& url, const std::string& unix_socket) {
  Api out;
  if (unix_socket.empty()) {
    out.http = client.http();
  } else {
    http::Options options;
    options.user_agent = client.user_agent();
    options.unix_socket = unix_socket;
    options.environment = client.options().environment;
    options.log = client.options().log;
    out.http = http::Client::create(std::move(options));
  }
  depotapi::BuildApiOptions options;
  options.http = out.http;
  options.base_url = url;
  options.log = client.options().log;
  out.api = depotapi::BuildApi::create(std::move(options));
  return out;
}

depotapi::Outcome api_outcome(Outcome outcome) {
  if (outcome == Outcome::kSuccess) return depotapi::Outcome::kSuccess;
  if (outcome == Outcome::kCanceled) return depotapi::Outcome::kCanceled;
  return depotapi::Outcome::kFailed;
}

// "auto" fell back to the local builder, and that cannot be had: say what else was looked for.
Status explain_auto(const Client& client, const Status& status) {
  const std::string& asked = client.options().builder;
  if (!asked.empty() && asked != "auto") return status;
  std::string hint =
      "no builder was named; tried in this order: a Depot token (--token, DEPOT_TOKEN, `depot "
      "login`, "
      "OIDC of a CI provider): none; BUILDKIT_HOST: not set; the local builder: " +
      status.message() +
      ". Set DEPOT_TOKEN and a project to build on Depot, or BUILDKIT_HOST to use a running "
      "buildkitd";
  if (!status.error().hint.empty()) hint += ", or, for the local builder: " + status.error().hint;
  return status.with_hint(std::move(hint));
}

}  // namespace

Result<std::shared_ptr<Build>> Build::create(std::shared_ptr<Client> client,
                                             const BuildOptions& options) {
  auto build = std::shared_ptr<Build>(new Build());
  build->client_ = client;
  const ClientOptions& defaults = client->options();
  auto deadline = Clock::now() + options.timeout;
  // Of the time, but for what is kept of it for later.
  auto left = [&](std::chrono::milliseconds kept = std::chrono::milliseconds(0)) {
    auto rest = std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
    return std::max(rest - kept, std::chrono::milliseconds(1));
  };
  if (options.cancel.triggered()) return base::cancelled_error();

  if (client->kind() == Client::Kind::kAddress) {
    // Nobody to register with, so no id unless the caller has one.
    build->id_ = options.build_id;
    build->finished_ = true;
    return build;
  }

  Api api;
  depotapi::CallOptions call;
  call.cancel = options.cancel;
  depotapi::ResolveOptions resolve;
  resolve.token = options.token.empty() ? defaults.token : options.token;
  resolve.project = options.project.empty() ? defaults.project : options.project;
  resolve.context_dir = options.context_dir;
  resolve.environment = defaults.environment;
  resolve.log = defaults.log;

  depotapi::NewBuild create;
  create.tags = options.tags;
  create.push = options.push;
  base::Secret token;
  if (client->kind() == Client::Kind::kLocal) {
    auto socket = localbuilder::ensure_running(client->launch_options(), options.cancel, deadline);
    if (!socket.ok()) return explain_auto(*client, socket.status());
    api = open_api(*client, "http://localhost", *socket);
    // Caches are kept by project, as on Depot: the same folder names the same one.
    DEPOT_ASSIGN(create.project, depotapi::resolve_project(resolve));
    // The local builder trusts the owner of its socket, not tokens; one is sent because the API
    // has one. A build is another matter: who joins one needs its token.
    std::string given;
    if (!options.build_id.empty())
      given =
          resolve.token.empty() ? defaults.environment.get_or("DEPOT_TOKEN", "") : resolve.token;
    token = given.empty() ? base::Secret("local") : base::Secret::take(std::move(given));
  } else {
    DEPOT_ASSIGN(std::string url,
                 depotapi::resolve_api_url(defaults.api_url, defaults.environment));
    api = open_api(*client, url, "");
    resolve.http = api.http;
    call.timeout = left(options.timeout / 3);  // CreateBuild's
    DEPOT_ASSIGN(token, depotapi::resolve_token(resolve, call));
    DEPOT_ASSIGN(create.project, depotapi::resolve_project(resolve));
  }
  build->api_ = api.api;
  build->api_http_ = api.http;

  if (!options.build_id.empty()) {
    // Somebody else's CreateBuild, and their token: they also finish it.
    build->id_ = options.build_id;
    build->project_ = create.project;
    build->token_ = std::move(token);
    build->finished_ = true;
    build->begin_status_report();
    return build;
  }
  call.timeout = left();
  DEPOT_ASSIGN(depotapi::CreatedBuild created, api.api->create_build(create, token, call));
  build->id_ = std::move(created.id);
  build->project_ = created.project.empty() ? create.project : std::move(created.project);
  build->url_ = std::move(created.url);
  build->token_ = std::move(created.token);
  build->credentials_ = std::move(created.credentials);
  build->begin_status_report();
  return build;
}

void Build::begin_status_report() {
  status_report_ = StatusReport::create(
      api_http_->loop(),
      [api = api_, id = id_, token = token_](const StatusReport::Batch& batch,
                                             std::function<void(Status)> done) {
        api->report_status(id, batch, token, kStatusTimeout, std::move(done));
      },
      client_->options().log);
}

Build::~Build() {
  bool tell = false;
  {
    std::lock_guard lock(mutex_);
    tell = api_ && !id_.empty() && !std::exchange(finished_, true);  // CreateBuild may have failed
  }
  // Nobody said how it went, so it did not go well (or the API could not be told); nobody is there
  // to wait for the answer either.
  if (tell) api_->finish_build_later(id_, api_outcome(told_), message_, token_);
}

Status Build::wake_builder(const base::Cancel& cancel, Clock::time_point deadline) const {
  if (client_->kind() != Client::Kind::kLocal) return {};
  return localbuilder::ensure_running(client_->launch_options(), cancel, deadline).status();
}

Status Build::finish(Outcome outcome, const std::string& message) {
  {
    std::lock_guard lock(mutex_);
    if (!api_ || std::exchange(finished_, true)) return finish_status_;
    told_ = outcome;
    message_ = message;
  }
  auto tell = [&]() -> Status {
    depotapi::CallOptions call;  // not the caller's cancel: a cancelled build is to be told of
    call.timeout = kFinishTimeout;
    DEPOT_TRY(wake_builder(call.cancel, Clock::now() + call.timeout));
    // Nobody waits for the page of a build that was cancelled.
    status_report_->flush(outcome == Outcome::kCanceled ? kStatusPatienceCanceled
                                                        : kStatusPatience);
    return api_->finish_build(id_, api_outcome(outcome), message, token_, call);
  };
  Status status = tell();
  if (!status.ok()) {
    std::lock_guard lock(mutex_);
    if (status.error().retryable || status.code() == Code::kDeadlineExceeded)
      finished_ = false;
    else
      finish_status_ = status;
  }
  return status;
}

}  // namespace depot::machine

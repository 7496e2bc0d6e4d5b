#include "machine/build.h"

#include <algorithm>

#include "machine/api.h"
#include "machine/save.h"
#include "solve/request.h"

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

depotapi::Outcome api_outcome(Outcome outcome) {
  if (outcome == Outcome::kSuccess) return depotapi::Outcome::kSuccess;
  if (outcome == Outcome::kCanceled) return depotapi::Outcome::kCanceled;
  return depotapi::Outcome::kFailed;
}

}  // namespace

Result<std::shared_ptr<Build>> Build::create(std::shared_ptr<Client> client,
                                             const BuildOptions& options) {
  auto build = std::shared_ptr<Build>(new Build());
  build->client_ = client;
  if (options.cancel.triggered()) return base::cancelled_error();
  build->saves_ = options.save || !options.save_tags.empty();
  for (const auto& tag : options.save_tags) DEPOT_TRY(solve::check_tag(tag));
  if (build->saves_ && client->kind() != Client::Kind::kDepot) {
    return Status(Code::kFailedPrecondition, Hop::kUsage,
                  "only Depot has a registry to save images in, not " + name_of(*client))
        .with_hint("push to a registry of your own: a tag that names it, and --push");
  }

  if (client->kind() == Client::Kind::kAddress) {
    // Nobody to register with, so no id unless the caller has one.
    build->id_ = options.build_id;
    build->finished_ = true;
    return build;
  }

  ApiOptions open;
  open.project = options.project;
  open.token = options.token;
  open.context_dir = options.context_dir;
  open.by_build_token = !options.build_id.empty();
  open.cancel = options.cancel;
  open.timeout = options.timeout;
  DEPOT_ASSIGN(ApiAccess access, open_api(*client, open));
  build->api_ = access.api;
  build->api_http_ = access.http;
  depotapi::CallOptions call;
  call.cancel = options.cancel;
  call.timeout = access.left;

  if (!options.build_id.empty()) {
    // Somebody else's CreateBuild, and their token: they also finish it.
    build->id_ = options.build_id;
    build->project_ = std::move(access.project);
    build->token_ = std::move(access.token);
    build->finished_ = build->joined_ = true;
    if (build->saves_) {
      DEPOT_ASSIGN(auto found, access.api->get_build(build->id_, build->token_, call));
      build->project_ = std::move(found.project);
      build->url_ = std::move(found.url);
      build->saved_as_ = saved_names(build->project_, build->id_, options.save_tags);
    }
    build->begin_status_report();
    return build;
  }
  depotapi::NewBuild create;
  create.project = access.project;
  create.tags = options.tags;
  create.push = options.push;
  create.load = options.load;
  create.save = build->saves_;
  create.save_tags = options.save_tags;
  create.target = options.target;
  create.outputs = options.outputs;
  DEPOT_ASSIGN(auto created, access.api->create_build(create, access.token, call));
  build->id_ = std::move(created.id);
  build->project_ = created.project.empty() ? access.project : std::move(created.project);
  build->url_ = std::move(created.url);
  build->token_ = std::move(created.token);
  build->credentials_ = std::move(created.credentials);
  build->saved_as_ = std::move(created.tags);
  build->begin_status_report();
  if (build->saves_ && build->saved_as_.empty()) {
    // Told before anything is built.
    build->message_ = "the API named no place in its registry to save the image in";
    return Status(Code::kUnimplemented, Hop::kApi, build->message_);
  }
  return build;
}

Status Build::add_save(solve::Request& request) const {
  if (request.part) return {};  // the whole has said it
  if (!saves_) {
    if (!request.save && request.save_tags.empty()) return {};
    return base::usage_error("the request is to be saved, and its build was not made for that")
        .with_hint("say save where the build is made, too: Depot gives the place with the build");
  }
  for (const std::string& name : saved_as_) {
    auto canonical = solve::canonical_name(name);
    if (!canonical.ok())
      return Status(Code::kInternal, Hop::kApi,
                    "the place that the API gave to save the image "
                    "in is none: " +
                        canonical.status().message());
    request.saved_as.push_back(std::move(*canonical));
  }
  return {};
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
  // Nobody waits for the page of a build that was cancelled.
  const auto patience = outcome == Outcome::kCanceled ? kStatusPatienceCanceled : kStatusPatience;
  if (joined_) status_report_->flush(patience);  // all of its end that is ours to tell
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
    status_report_->flush(patience);
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

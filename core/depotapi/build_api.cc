#include "depotapi/build_api.h"

#include <atomic>

#include "depotapi/answers.h"
#include "depotapi/connect.h"
#include "depotapi/retry.h"
#include "depotapi/text.h"
#include "wire/methods.h"

namespace depot::depotapi {
namespace {

using base::Code;
using base::Secret;
using base::Status;

// For the one message nobody waits for.
constexpr std::chrono::milliseconds kLater{10000};

// "CreateBuild: invalid token", on one line. Cancelled is what it is.
Status told(const Status& status, const std::string& method) {
  if (status.ok() || status.code() == Code::kCancelled) return status;
  base::Error error = status.error();
  error.message = method + ": " + clean_line(error.message, error.message.size());
  return Status(std::move(error));
}

Status of_token(const Status& status) {
  if (status.code() != Code::kUnauthenticated) return status;
  return status.with_hint(
      "the API refuses the token: check the token option, DEPOT_TOKEN or the stored login");
}

// What a call that names a project is refused for.
Status of_project(const Status& status, const std::string& project) {
  if (status.code() != Code::kNotFound) return of_token(status);
  return status.with_hint(project.empty() ? "the token names no project that exists"
                                          : "check the project's id (\"" + project +
                                                "\") and that the token may use it");
}

Status of_build(const Status& status, const std::string& build_id) {
  if (status.code() != Code::kNotFound) return of_token(status);
  return status.with_hint("check the build's id (\"" + build_id +
                          "\") and that the token may see its project");
}

class BuildApiImpl final : public BuildApi {
 public:
  explicit BuildApiImpl(BuildApiOptions options)
      : http_(options.http),
        connect_(std::move(options.http), std::move(options.base_url)),
        log_(std::move(options.log)) {}

  base::Result<CreatedBuild> create_build(const NewBuild& build, const Secret& token,
                                          const CallOptions& options) override {
    DEPOT_ASSIGN(Secret message, create_build_message(build));
    UnaryRequest request = make(wire::kBuildCreateBuild, std::move(message), token);
    request.once = true;
    UnaryAnswer answer = call(request, options);
    if (!answer.status.ok()) return of_project(answer.status, build.project);
    return read_created_build(std::move(answer.message));
  }

  base::Result<FoundBuild> get_build(const std::string& build_id, const Secret& token,
                                     const CallOptions& options) override {
    UnaryAnswer answer =
        call(make(wire::kBuildGetBuild, get_build_message(build_id), token), options);
    if (!answer.status.ok()) return of_build(answer.status, build_id);
    return read_found_build(std::move(answer.message));
  }

  base::Result<BuildPage> list_builds(const std::string& project, int32_t size,
                                      const std::string& page, const Secret& token,
                                      const CallOptions& options) override {
    UnaryAnswer answer = call(
        make(wire::kBuildListBuilds, list_builds_message(project, size, page), token), options);
    if (!answer.status.ok()) return of_project(answer.status, project);
    return read_build_page(std::move(answer.message));
  }

  base::Result<PullInfo> get_pull_info(const std::string& build_id, const Secret& token,
                                       const CallOptions& options) override {
    UnaryAnswer answer =
        call(make(wire::kBuildGetPullInfo, get_pull_info_message(build_id), token), options);
    if (!answer.status.ok()) return of_build(answer.status, build_id);
    return read_pull_info(std::move(answer.message));
  }

  base::Result<Secret> get_pull_token(const std::string& project, const std::string& build_id,
                                      const Secret& token, const CallOptions& options) override {
    UnaryAnswer answer = call(
        make(wire::kBuildGetPullToken, get_pull_token_message(project, build_id), token), options);
    if (!answer.status.ok()) return of_project(answer.status, project);
    return read_pull_token(std::move(answer.message));
  }

  base::Result<MachineAnswer> get_connection(const std::string& build_id, Platform platform,
                                             const Secret& token,
                                             const CallOptions& options) override {
    UnaryAnswer answer = call(
        make(wire::kBuildGetBuildKitConnection, get_connection_message(build_id, platform), token),
        options);
    if (!answer.status.ok()) return answer.status;
    return read_machine(std::move(answer.message));
  }

  Status finish_build(const std::string& build_id, Outcome outcome, const std::string& message,
                      const Secret& token, const CallOptions& options) override {
    return call(make(wire::kBuildFinishBuild, finish_build_message(build_id, outcome, message),
                     token),
                options)
        .status;
  }

  void report_health(const std::string& build_id, Platform platform, const Secret& token,
                     std::chrono::milliseconds timeout,
                     std::function<void(base::Result<CancelsAt>)> done) override {
    UnaryRequest request =
        make(wire::kBuildReportBuildHealth, report_health_message(build_id, platform), token);
    request.timeout = timeout;
    request.fresh = *beat_lost_;
    connect_.start(std::move(request),
                   [done = std::move(done), lost = beat_lost_](UnaryAnswer answer) {
                     *lost = answer.http_status == 0;
                     if (answer.status.ok())
                       done(read_health(std::move(answer.message)));
                     else
                       done(told(answer.status, "ReportBuildHealth"));
                   });
  }

  void report_status(const std::string& build_id, const std::vector<std::string>& status_responses,
                     const Secret& token, std::chrono::milliseconds timeout,
                     std::function<void(Status)> done) override {
    auto make_request = [message = report_status_message(build_id, status_responses), token,
                         timeout](std::string_view method) {
      UnaryRequest request = make(method, message, token);
      request.timeout = timeout;
      return request;
    };
    auto report_alone = [connect = connect_, make_request, done] {
      connect.start(make_request(wire::kBuildReportStatus),
                    [done](UnaryAnswer answer) { done(told(answer.status, "ReportStatus")); });
    };
    if (*no_status_stream_) return report_alone();
    UnaryRequest request = make_request(wire::kBuildReportStatusStream);
    request.stream = true;
    connect_.start(std::move(request),
                   [report_alone, done, none = no_status_stream_](UnaryAnswer answer) {
                     if (answer.status.code() != Code::kUnimplemented && answer.http_status != 415)
                       return done(told(answer.status, "ReportStatusStream"));
                     *none = true;
                     report_alone();
                   });
  }

  void finish_build_later(const std::string& build_id, Outcome outcome, const std::string& message,
                          const Secret& token) override {
    UnaryRequest request =
        make(wire::kBuildFinishBuild, finish_build_message(build_id, outcome, message), token);
    request.timeout = kLater;
    // The client ends what is under way when it goes, and we may hold the last reference to it.
    connect_.start(std::move(request), [log = log_, build_id, http = http_](UnaryAnswer answer) {
      if (!answer.status.ok()) {
        base::log(log, base::LogLevel::kWarning,
                  "build " + build_id +
                      " could not be finished: " + told(answer.status, "FinishBuild").message());
      }
    });
  }

 private:
  static UnaryRequest make(std::string_view method, Secret message, const Secret& token) {
    UnaryRequest request;
    request.path = std::string(method);
    request.message = std::move(message);
    request.token = token;
    return request;
  }

  UnaryAnswer call(const UnaryRequest& request, const CallOptions& options) const {
    UnaryAnswer answer = call_with_retries(connect_, request, options, log_);
    answer.status = told(answer.status, request.path.substr(request.path.rfind('/') + 1));
    return answer;
  }

  const std::shared_ptr<http::Client> http_;
  // The last health report got no answer.
  const std::shared_ptr<std::atomic<bool>> beat_lost_ = std::make_shared<std::atomic<bool>>(false);
  // Nor has it to be asked for it again.
  const std::shared_ptr<std::atomic<bool>> no_status_stream_ =
      std::make_shared<std::atomic<bool>>(false);
  ConnectClient connect_;
  base::LogSink log_;
};

}  // namespace

std::shared_ptr<BuildApi> BuildApi::create(BuildApiOptions options) {
  return std::make_shared<BuildApiImpl>(std::move(options));
}

}  // namespace depot::depotapi

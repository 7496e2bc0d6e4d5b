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
    if (answer.status.code() == Code::kNotFound) {
      std::string named = build.project.empty() ? "the token names no project that exists"
                                                : "check the project's id (\"" + build.project +
                                                      "\") and that the token may use it";
      return answer.status.with_hint(std::move(named));
    }
    if (answer.status.code() == Code::kUnauthenticated)
      return answer.status.with_hint(
          "the API refuses the token: check the token option, DEPOT_TOKEN or the stored login");
    if (!answer.status.ok()) return answer.status;
    return read_created_build(std::move(answer.message));
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
    UnaryRequest request =
        make(wire::kBuildReportStatus, report_status_message(build_id, status_responses), token);
    request.timeout = timeout;
    connect_.start(std::move(request), [done = std::move(done)](UnaryAnswer answer) {
      done(told(answer.status, "ReportStatus"));
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
  ConnectClient connect_;
  base::LogSink log_;
};

}  // namespace

std::shared_ptr<BuildApi> BuildApi::create(BuildApiOptions options) {
  return std::make_shared<BuildApiImpl>(std::move(options));
}

}  // namespace depot::depotapi

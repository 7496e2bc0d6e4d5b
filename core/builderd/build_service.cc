#include "builderd/build_service.h"

#include <openssl/crypto.h>

#include <memory>
#include <optional>
#include <utility>

#include "depot/cli/v1/build.pb.h"
#include "wire/methods.h"

namespace depot::builderd {

namespace api = ::depot::cli::v1;
using base::Code;
using base::Hop;
using base::Result;
using base::Status;

namespace {

Status no_registry(const char* what) {
  return Status(Code::kUnimplemented, Hop::kBuilder,
                std::string(what) + " needs Depot's registry, which the local builder has not");
}

Result<std::string> architecture_of(api::BuilderPlatform platform) {
  switch (platform) {
    case api::BUILDER_PLATFORM_AMD64:
      return std::string("amd64");
    case api::BUILDER_PLATFORM_ARM64:
      return std::string("arm64");
    default:
      return Status(Code::kInvalidArgument, Hop::kBuilder, "platform must be amd64 or arm64");
  }
}

void set_time(google::protobuf::Timestamp* out, std::chrono::milliseconds since_epoch) {
  auto seconds = std::chrono::floor<std::chrono::seconds>(since_epoch);
  out->set_seconds(seconds.count());
  out->set_nanos(static_cast<int32_t>(std::chrono::nanoseconds(since_epoch - seconds).count()));
}

Status engine_unavailable() {
  return Status(Code::kUnimplemented, Hop::kBuilder,
                "the local builder has the BuildKit engine alone, not dagger");
}

class BuildService {
 public:
  BuildService(ControlPlane& plane, base::Secret user_token)
      : plane_(plane), user_token_(std::move(user_token)) {}

  Result<api::CreateBuildResponse> create_build(const RpcContext& context,
                                                const api::CreateBuildRequest& request) {
    DEPOT_TRY(check_user(context));
    if (request.required_engine().has_dagger()) return engine_unavailable();
    DEPOT_ASSIGN(auto build, plane_.create_build(request.project_id()));
    api::CreateBuildResponse response;
    response.set_build_id(build.id);
    response.set_build_token(std::string(build.token.reveal()));
    response.set_project_id(build.project);
    response.set_build_url(url_of(build.id));
    response.mutable_registry();
    return response;
  }

  Result<api::GetBuildResponse> get_build(const RpcContext& context,
                                          const api::GetBuildRequest& request) {
    // A build's own token opens it too.
    if (Status user = check_user(context); !user.ok()) {
      DEPOT_TRY(build_of(context, request.build_id()).status());
    }
    DEPOT_ASSIGN(auto build, plane_.find_build(request.build_id()));
    api::GetBuildResponse response;
    response.set_build_id(build.id);
    response.set_project_id(build.project);
    response.set_build_url(url_of(build.id));
    return response;
  }

  void get_connection(const RpcContext& context, const api::GetBuildKitConnectionRequest& request,
                      RpcDone done) {
    auto build = build_of(context, request.build_id());
    if (!build.ok()) return done(build.status());
    if (request.required_engine().has_dagger()) return done(engine_unavailable());
    auto architecture = architecture_of(request.platform());
    if (!architecture.ok()) return done(architecture.status());
    plane_.connect(
        *build, *architecture,
        [done = std::move(done)](Result<std::optional<MachineAccess>> access) {
          if (!access.ok()) return done(access.status());
          api::GetBuildKitConnectionResponse response;
          if (!*access) {
            response.mutable_pending()->set_wait_ms(50);
          } else {
            const MachineAccess& given = **access;
            auto* active = response.mutable_active();
            active->set_endpoint(given.endpoint);
            active->set_server_name(given.server_name);
            active->mutable_cert()->set_cert(given.identity.certificate);
            active->mutable_cert()->set_key(std::string(given.identity.key.reveal()));
            active->mutable_ca_cert()->set_cert(given.ca_certificate);
            active->mutable_identity();  // loopback: compressing costs more than it saves
          }
          std::string bytes = response.SerializeAsString();
          if (response.has_active()) {
            base::wipe(*response.mutable_active()->mutable_cert()->mutable_key());
          }
          done(std::move(bytes));
        });
  }

  Result<api::ReportBuildHealthResponse> report_health(
      const RpcContext& context, const api::ReportBuildHealthRequest& request) {
    DEPOT_ASSIGN(auto build, build_of(context, request.build_id()));
    DEPOT_ASSIGN(auto architecture, architecture_of(request.platform()));
    DEPOT_ASSIGN(auto cancels_at, plane_.report_health(build, architecture));
    api::ReportBuildHealthResponse response;
    set_time(response.mutable_cancels_at(),
             std::chrono::floor<std::chrono::milliseconds>(cancels_at.time_since_epoch()));
    return response;
  }

  Result<api::FinishBuildResponse> finish_build(const RpcContext& context,
                                                const api::FinishBuildRequest& request) {
    DEPOT_ASSIGN(auto build, build_of(context, request.build_id()));
    switch (request.result_case()) {
      case api::FinishBuildRequest::kSuccess:
        DEPOT_TRY(plane_.finish(build, BuildStatus::kFinished, ""));
        break;
      case api::FinishBuildRequest::kError:
        DEPOT_TRY(plane_.finish(build, BuildStatus::kFailed, request.error().error()));
        break;
      case api::FinishBuildRequest::kCanceled:
        DEPOT_TRY(plane_.finish(build, BuildStatus::kCanceled, ""));
        break;
      default:
        return Status(Code::kInvalidArgument, Hop::kBuilder, "result is missing");
    }
    return api::FinishBuildResponse();
  }

  Result<api::ListBuildsResponse> list_builds(const RpcContext& context,
                                              const api::ListBuildsRequest& request) {
    DEPOT_TRY(check_user(context));
    DEPOT_ASSIGN(auto page, plane_.list_builds(request.project_id(), request.page_size(),
                                               request.page_token()));
    api::ListBuildsResponse response;
    for (const BuildRecord& build : page.builds) {
      auto* out = response.add_builds();
      out->set_id(build.id);
      out->set_status(static_cast<api::BuildStatus>(build.status));
      set_time(out->mutable_created_at(), std::chrono::milliseconds(build.created_ms));
      if (build.finished_ms != 0) {
        set_time(out->mutable_finished_at(), std::chrono::milliseconds(build.finished_ms));
      }
    }
    response.set_next_page_token(page.next);
    return response;
  }

  // Accepted and dropped: progress is the client's to show, and nobody else here looks at it.
  template <class Request, class Response>
  Result<Response> accept(const RpcContext& context, const Request& request) {
    DEPOT_TRY(build_of(context, request.build_id()).status());
    return Response();
  }

 private:
  Status check_user(const RpcContext& context) const {
    if (context.trusted) return base::ok_status();
    if (same_secret(context.token, user_token_)) return base::ok_status();
    return Status(Code::kUnauthenticated, Hop::kBuilder,
                  context.token.empty() ? "a token is required" : "the token is not valid here");
  }

  Result<BuildRecord> build_of(const RpcContext& context, const std::string& id) {
    auto build = plane_.authenticate(id, context.token.reveal());
    // To a stranger, a wrong id and a wrong token look the same.
    if (!build.ok() && build.status().code() == Code::kNotFound && !context.trusted) {
      return Status(Code::kUnauthenticated, Hop::kBuilder,
                    "the token is not the one of this build");
    }
    return build;
  }

  // For people; the local builder has no pages.
  static std::string url_of(const std::string& id) { return "local://builds/" + id; }

  ControlPlane& plane_;
  const base::Secret user_token_;
};

// Parses, calls, serializes.
template <class Request, class Call>
Rpc unary(Call call) {
  return [call](const RpcContext& context, std::string_view bytes, RpcDone done) {
    Request request;
    if (!request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
      return done(Status(Code::kInvalidArgument, Hop::kBuilder, "the request is malformed"));
    }
    auto response = call(context, request);
    if (!response.ok()) return done(response.status());
    done(response->SerializeAsString());
  };
}

}  // namespace

bool same_secret(const base::Secret& a, const base::Secret& b) {
  return !a.empty() && a.size() == b.size() &&
         CRYPTO_memcmp(a.reveal().data(), b.reveal().data(), a.size()) == 0;
}

std::map<std::string, Rpc> build_service(ControlPlane& plane, const base::Secret& user_token) {
  auto service = std::make_shared<BuildService>(plane, user_token);
  std::map<std::string, Rpc> rpcs;
  auto add = [&](std::string_view path, Rpc rpc) {
    rpcs.emplace(std::string(path), std::move(rpc));
  };
  add(wire::kBuildCreateBuild, unary<api::CreateBuildRequest>([service](auto& c, auto& r) {
        return service->create_build(c, r);
      }));
  add(wire::kBuildGetBuild, unary<api::GetBuildRequest>(
                                [service](auto& c, auto& r) { return service->get_build(c, r); }));
  add(wire::kBuildReportBuildHealth,
      unary<api::ReportBuildHealthRequest>(
          [service](auto& c, auto& r) { return service->report_health(c, r); }));
  add(wire::kBuildFinishBuild, unary<api::FinishBuildRequest>([service](auto& c, auto& r) {
        return service->finish_build(c, r);
      }));
  add(wire::kBuildListBuilds, unary<api::ListBuildsRequest>([service](auto& c, auto& r) {
        return service->list_builds(c, r);
      }));
  add(wire::kBuildReportStatus, unary<api::ReportStatusRequest>([service](auto& c, auto& r) {
        return service->template accept<api::ReportStatusRequest, api::ReportStatusResponse>(c, r);
      }));
  add(wire::kBuildReportTimings, unary<api::ReportTimingsRequest>([service](auto& c, auto& r) {
        return service->template accept<api::ReportTimingsRequest, api::ReportTimingsResponse>(c,
                                                                                               r);
      }));
  add(wire::kBuildReportBuildContext,
      unary<api::ReportBuildContextRequest>([service](auto& c, auto& r) {
        return service
            ->template accept<api::ReportBuildContextRequest, api::ReportBuildContextResponse>(c,
                                                                                               r);
      }));
  add(wire::kBuildGetPullInfo,
      [](const RpcContext&, std::string_view, RpcDone done) { done(no_registry("GetPullInfo")); });
  add(wire::kBuildGetPullToken,
      [](const RpcContext&, std::string_view, RpcDone done) { done(no_registry("GetPullToken")); });
  add(wire::kBuildGetBuildKitConnection,
      [service](const RpcContext& context, std::string_view bytes, RpcDone done) {
        api::GetBuildKitConnectionRequest request;
        if (!request.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
          return done(Status(Code::kInvalidArgument, Hop::kBuilder, "the request is malformed"));
        }
        service->get_connection(context, request, std::move(done));
      });
  return rpcs;
}

}  // namespace depot::builderd

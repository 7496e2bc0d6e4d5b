#include "machine/builds.h"

#include <algorithm>

#include "machine/api.h"
#include "machine/save.h"

namespace depot::machine {
namespace {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;
using depotapi::PullInfo;

constexpr int32_t kPage = 100;

Result<ApiAccess> access_of(const Client& client, const BuildsOptions& options) {
  ApiOptions open;
  open.project = options.project;
  open.token = options.token;
  open.context_dir = options.context_dir;
  open.cancel = options.cancel;
  open.timeout = options.timeout;
  return open_api(client, open);
}

Status only_depot(const Client& client) {
  if (client.kind() == Client::Kind::kDepot) return {};
  return Status(Code::kFailedPrecondition, Hop::kUsage,
                "only Depot has a registry that images are saved in, not " + name_of(client))
      .with_hint(
          "use --builder depot, with a token; any registry's images are pulled by `docker "
          "pull`");
}

Status need_project(const std::string& project) {
  if (!project.empty()) return {};
  return Status(Code::kInvalidArgument, Hop::kUsage, "no project is named")
      .with_hint("give --project, DEPOT_PROJECT_ID or a depot.json");
}

depotapi::CallOptions call_options(const BuildsOptions& options,
                                   std::chrono::steady_clock::time_point deadline) {
  depotapi::CallOptions call;
  call.cancel = options.cancel;
  auto left = std::chrono::duration_cast<std::chrono::milliseconds>(
      deadline - std::chrono::steady_clock::now());
  call.timeout = std::max(left, std::chrono::milliseconds(1));
  return call;
}

}  // namespace

Result<std::vector<depotapi::ListedBuild>> list_builds(const Client& client, size_t limit,
                                                       const BuildsOptions& options) {
  if (limit == 0) limit = kBuildsByDefault;
  if (limit > kMostBuilds)
    return base::usage_error("a list has " + std::to_string(kMostBuilds) + " builds at most");
  if (client.kind() == Client::Kind::kAddress) {
    return Status(Code::kFailedPrecondition, Hop::kUsage,
                  "nobody keeps a list of the builds of " + name_of(client))
        .with_hint("a BuildKit remembers what it built: libdepot history ls");
  }
  DEPOT_ASSIGN(ApiAccess access, access_of(client, options));
  const auto deadline = std::chrono::steady_clock::now() + access.left;
  // The local builder has one of its own for who names none.
  if (client.kind() == Client::Kind::kDepot) DEPOT_TRY(need_project(access.project));
  std::vector<depotapi::ListedBuild> builds;
  std::string page;
  for (;;) {
    auto size = static_cast<int32_t>(std::min<size_t>(limit - builds.size(), kPage));
    DEPOT_ASSIGN(auto got, access.api->list_builds(access.project, size, page, access.token,
                                                   call_options(options, deadline)));
    // A page without builds that has a next one would be asked for without end.
    const bool last = got.next.empty() || got.next == page || got.builds.empty();
    for (auto& build : got.builds) {
      if (builds.size() == limit) return builds;
      builds.push_back(std::move(build));
    }
    if (last || builds.size() == limit) return builds;
    page = std::move(got.next);
  }
}

Result<PullInfo> pull_info(const Client& client, const std::string& build_id,
                           const BuildsOptions& options) {
  if (build_id.empty()) return base::usage_error("no build is named");
  DEPOT_TRY(only_depot(client));
  DEPOT_ASSIGN(ApiAccess access, access_of(client, options));
  DEPOT_ASSIGN(PullInfo pull,
               access.api->get_pull_info(
                   build_id, access.token,
                   call_options(options, std::chrono::steady_clock::now() + access.left)));
  // What the build was asked for; without a word of that there is nothing to hold against it.
  const bool saved = pull.targets.empty() ||
                     std::any_of(pull.targets.begin(), pull.targets.end(),
                                 [](const PullInfo::Target& target) { return target.saved; });
  if (!saved) {
    return Status(Code::kFailedPrecondition, Hop::kApi,
                  "build " + build_id + " was not saved, so there is no image to pull")
        .with_hint("build with --save");
  }
  return pull;
}

Result<PullInfo> pull_token(const Client& client, const BuildsOptions& options) {
  DEPOT_TRY(only_depot(client));
  DEPOT_ASSIGN(ApiAccess access, access_of(client, options));
  DEPOT_TRY(need_project(access.project));
  PullInfo pull;
  DEPOT_ASSIGN(pull.password,
               access.api->get_pull_token(
                   access.project, "", access.token,
                   call_options(options, std::chrono::steady_clock::now() + access.left)));
  pull.reference = std::string(kDepotRegistry) + "/" + access.project;
  pull.username = kTokenUser;
  return pull;
}

}  // namespace depot::machine

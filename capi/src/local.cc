#include "depot/local.h"

#include <algorithm>
#include <chrono>
#include <vector>

#include "guard.h"
#include "hand_out.h"
#include "handles.h"
#include "localbuilder/projects.h"
#include "options.h"

using depot::base::Result;
using depot::base::Status;
using namespace depot::capi;  // NOLINT: one file, one purpose
namespace localbuilder = depot::localbuilder;
using std::chrono::milliseconds;

struct depot_local_projects {
  std::vector<localbuilder::Project> projects;
};

namespace {

constexpr milliseconds kList = std::chrono::minutes(5);
constexpr milliseconds kStop = std::chrono::minutes(2);
constexpr milliseconds kReset = std::chrono::hours(1);
// More than that does not fit into a clock's time.
constexpr milliseconds kMost = std::chrono::hours(24 * 365);

constexpr size_t kFirstProject = DEPOT_SIZE_TO(depot_local_project, reserved);
constexpr size_t kFirstMachine = DEPOT_SIZE_TO(depot_local_machine, reserved);

Status read_local(const depot_client* client, const depot_local_options* options,
                  milliseconds by_default, localbuilder::BooksOptions& out) {
  if (client == nullptr) return null_argument("client");
  constexpr size_t kSizeV1 = DEPOT_SIZE_TO(depot_local_options, timeout_ms);
  depot_local_options given;
  DEPOT_TRY(read_options(options, kSizeV1, "depot_local_options", given));
  if (given.timeout_ms < 0)
    return depot::base::usage_error("depot_local_options.timeout_ms is negative");
  out.launch = client->client->launch_options();
  // Here "" is not "not given": it must not become "all".
  if (given.project != nullptr) out.project = given.project;
  out.force = given.force != 0;
  out.cancel = cancel_of(given.cancel);
  milliseconds timeout = given.timeout_ms > 0 ? milliseconds(given.timeout_ms) : by_default;
  out.deadline = std::chrono::steady_clock::now() + std::min(timeout, kMost);
  if (out.cancel.triggered()) return depot::base::cancelled_error();
  return {};
}

const localbuilder::Project* project_at(const depot_local_projects* projects, size_t index) {
  return index < depot_local_projects_count(projects) ? &projects->projects[index] : nullptr;
}

}  // namespace

void depot_local_options_init(depot_local_options* options, size_t size) {
  init_options(options, size);
}

depot_code depot_local_projects_new(const depot_client* client, const depot_local_options* options,
                                    depot_local_projects** out, depot_error** error) {
  return guard(error, [&]() -> Status {
    if (out == nullptr) return null_argument("out");
    *out = nullptr;
    localbuilder::BooksOptions how;
    DEPOT_TRY(read_local(client, options, kList, how));
    auto handle = std::make_unique<depot_local_projects>();
    DEPOT_ASSIGN(handle->projects, localbuilder::list_projects(how));
    *out = handle.release();
    return {};
  });
}

size_t depot_local_projects_count(const depot_local_projects* projects) {
  return projects == nullptr ? 0 : projects->projects.size();
}

int32_t depot_local_projects_get(const depot_local_projects* projects, size_t index,
                                 depot_local_project* out) {
  const localbuilder::Project* project = project_at(projects, index);
  if (project == nullptr) return 0;
  depot_local_project filled{};
  filled.id = project->id.c_str();
  filled.directory = project->directory.c_str();
  filled.machine_count = project->machines.size();
  filled.builds = project->builds;
  filled.last_used = project->last_used;
  filled.cache_bytes = project->cache_bytes;
  filled.cache_partial = project->cache_bytes >= 0 && !project->cache_complete ? 1 : 0;
  return hand_out(filled, kFirstProject, out);
}

int32_t depot_local_projects_machine(const depot_local_projects* projects, size_t project,
                                     size_t index, depot_local_machine* out) {
  const localbuilder::Project* of = project_at(projects, project);
  if (of == nullptr || index >= of->machines.size()) return 0;
  const localbuilder::ProjectMachine& machine = of->machines[index];
  depot_local_machine filled{};
  filled.architecture = machine.architecture.c_str();
  filled.buildkit_version = machine.buildkit_version.c_str();
  filled.pid = machine.pid;
  filled.builds = machine.builds;
  filled.state = static_cast<int32_t>(machine.state);
  return hand_out(filled, kFirstMachine, out);
}

void depot_local_projects_free(depot_local_projects* projects) {
  delete projects;
}

depot_code depot_local_stop(const depot_client* client, const depot_local_options* options,
                            int64_t* machines, depot_error** error) {
  return guard(error, [&]() -> Status {
    if (options == nullptr) return null_argument("options");
    localbuilder::BooksOptions how;
    DEPOT_TRY(read_local(client, options, kStop, how));
    DEPOT_ASSIGN(int64_t stopped, localbuilder::stop_machines(how));
    if (machines != nullptr) *machines = stopped;
    return {};
  });
}

depot_code depot_local_reset(const depot_client* client, const depot_local_options* options,
                             int64_t* bytes, depot_error** error) {
  return guard(error, [&]() -> Status {
    if (options == nullptr) return null_argument("options");
    localbuilder::BooksOptions how;
    DEPOT_TRY(read_local(client, options, kReset, how));
    DEPOT_ASSIGN(int64_t freed, localbuilder::reset_project(how));
    if (bytes != nullptr) *bytes = freed;
    return {};
  });
}

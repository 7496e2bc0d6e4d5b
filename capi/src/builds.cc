#include "depot/builds.h"

#include "ask.h"
#include "guard.h"
#include "hand_out.h"
#include "machine/builds.h"
#include "options.h"

using depot::base::Status;
using namespace depot::capi;  // NOLINT: one file, one purpose
namespace depotapi = depot::depotapi;
namespace machine = depot::machine;

struct depot_builds {
  std::vector<depotapi::ListedBuild> builds;
};

struct depot_pull_info {
  depotapi::PullInfo pull;
  depot::base::Secret password;  // with the NUL that a C string ends in
  std::vector<Strings> tags;     // of each target
};

namespace {

constexpr size_t kFirstBuild = DEPOT_SIZE_TO(depot_listed_build, reserved);
constexpr size_t kFirstTarget = DEPOT_SIZE_TO(depot_pull_target, tags);

struct Asked {
  machine::BuildsOptions options;
  size_t limit = 0;
};

Status read_builds_options(const depot_builds_options* options, Asked& out) {
  constexpr size_t kSizeV1 = DEPOT_SIZE_TO(depot_builds_options, timeout_ms);
  depot_builds_options given;
  DEPOT_TRY(read_options(options, kSizeV1, "depot_builds_options", given));
  machine::WaitOptions wait;
  DEPOT_TRY(read_wait(given.cancel, given.timeout_ms, "depot_builds_options", wait));
  if (given.limit < 0) return depot::base::usage_error("depot_builds_options.limit is negative");
  out.limit = static_cast<size_t>(given.limit);
  out.options.project = text_or_empty(given.project);
  out.options.token = text_or_empty(given.token);
  out.options.context_dir = text_or_empty(given.context_dir);
  out.options.cancel = wait.cancel;
  if (wait.timeout.count() > 0) out.options.timeout = wait.timeout;
  return {};
}

std::unique_ptr<depot_pull_info> handle_of(depotapi::PullInfo pull) {
  auto handle = std::make_unique<depot_pull_info>();
  handle->pull = std::move(pull);
  std::string password(handle->pull.password.reveal());
  password.push_back('\0');
  handle->password = depot::base::Secret::take(std::move(password));
  handle->pull.password = {};
  for (const auto& target : handle->pull.targets) handle->tags.push_back(strings_of(target.tags));
  return handle;
}

}  // namespace

void depot_builds_options_init(depot_builds_options* options, size_t size) {
  init_options(options, size);
}

depot_code depot_client_list_builds(const depot_client* client, const depot_builds_options* options,
                                    depot_builds** out, depot_error** error) {
  return guard(error, [&]() -> Status {
    if (out == nullptr) return null_argument("out");
    *out = nullptr;
    if (client == nullptr) return null_argument("client");
    Asked asked;
    DEPOT_TRY(read_builds_options(options, asked));
    auto handle = std::make_unique<depot_builds>();
    DEPOT_ASSIGN(handle->builds, machine::list_builds(*client->client, asked.limit, asked.options));
    *out = handle.release();
    return {};
  });
}

size_t depot_builds_count(const depot_builds* builds) {
  return builds == nullptr ? 0 : builds->builds.size();
}

int32_t depot_builds_get(const depot_builds* builds, size_t index, depot_listed_build* out) {
  if (index >= depot_builds_count(builds)) return 0;
  const auto& from = builds->builds[index];
  depot_listed_build build{};
  build.id = from.id.c_str();
  build.created = from.created;
  build.finished = from.finished;
  build.state = static_cast<int32_t>(from.state);
  return hand_out(build, kFirstBuild, out);
}

void depot_builds_free(depot_builds* builds) {
  delete builds;
}

depot_code depot_client_pull_info(const depot_client* client, const char* build_id,
                                  const depot_builds_options* options, depot_pull_info** out,
                                  depot_error** error) {
  return guard(error, [&]() -> Status {
    if (out == nullptr) return null_argument("out");
    *out = nullptr;
    if (client == nullptr) return null_argument("client");
    if (build_id == nullptr) return null_argument("build_id");
    Asked asked;
    DEPOT_TRY(read_builds_options(options, asked));
    DEPOT_ASSIGN(auto pull, machine::pull_info(*client->client, build_id, asked.options));
    *out = handle_of(std::move(pull)).release();
    return {};
  });
}

depot_code depot_client_pull_token(const depot_client* client, const depot_builds_options* options,
                                   depot_pull_info** out, depot_error** error) {
  return guard(error, [&]() -> Status {
    if (out == nullptr) return null_argument("out");
    *out = nullptr;
    if (client == nullptr) return null_argument("client");
    Asked asked;
    DEPOT_TRY(read_builds_options(options, asked));
    DEPOT_ASSIGN(auto pull, machine::pull_token(*client->client, asked.options));
    *out = handle_of(std::move(pull)).release();
    return {};
  });
}

const char* depot_pull_info_reference(const depot_pull_info* pull) {
  return pull == nullptr ? "" : pull->pull.reference.c_str();
}
const char* depot_pull_info_username(const depot_pull_info* pull) {
  return pull == nullptr ? "" : pull->pull.username.c_str();
}
const char* depot_pull_info_password(const depot_pull_info* pull) {
  return pull == nullptr ? "" : pull->password.reveal().data();
}

size_t depot_pull_info_target_count(const depot_pull_info* pull) {
  return pull == nullptr ? 0 : pull->pull.targets.size();
}

int32_t depot_pull_info_target(const depot_pull_info* pull, size_t index, depot_pull_target* out) {
  if (index >= depot_pull_info_target_count(pull)) return 0;
  depot_pull_target target{};
  target.name = pull->pull.targets[index].name.c_str();
  target.tag_count = pull->tags[index].size();
  target.tags = pull->tags[index].data();
  return hand_out(target, kFirstTarget, out);
}

void depot_pull_info_free(depot_pull_info* pull) {
  delete pull;
}

#include "depot/build.h"

#include "guard.h"
#include "handles.h"
#include "options.h"

using depot::base::Status;
using namespace depot::capi;  // NOLINT: one file, one purpose

namespace depot::capi {

namespace {

constexpr size_t kMaxTags = 1000;

base::Status read_tags(const char* const* given, const char* name, std::vector<std::string>& out) {
  for (size_t i = 0; given != nullptr && given[i] != nullptr; ++i) {
    if (i == kMaxTags) return base::usage_error(std::string(name) + " has no NULL at its end");
    out.emplace_back(given[i]);
  }
  return {};
}

}  // namespace

base::Status read_build_options(const depot_build_options* options, machine::BuildOptions& out) {
  constexpr size_t kSizeV1 = offsetof(depot_build_options, timeout_ms) + sizeof(int64_t);
  depot_build_options given;
  DEPOT_TRY(read_options(options, kSizeV1, "depot_build_options", given));
  out.project = text_or_empty(given.project);
  out.token = text_or_empty(given.token);
  out.build_id = text_or_empty(given.build_id);
  out.context_dir = text_or_empty(given.context_dir);
  DEPOT_TRY(read_tags(given.tags, "depot_build_options.tags", out.tags));
  DEPOT_TRY(read_tags(given.save_tags, "depot_build_options.save_tags", out.save_tags));
  out.save = given.save != 0;
  out.cancel = cancel_of(given.cancel);
  if (given.timeout_ms < 0) return base::usage_error("depot_build_options.timeout_ms is negative");
  if (given.timeout_ms > 0) out.timeout = std::chrono::milliseconds(given.timeout_ms);
  return {};
}

}  // namespace depot::capi

void depot_build_options_init(depot_build_options* options, size_t size) {
  init_options(options, size);
}

depot_code depot_build_new(const depot_client* client, const depot_build_options* options,
                           depot_build** out, depot_error** error) {
  return guard(error, [&]() -> Status {
    if (out == nullptr) return null_argument("out");
    *out = nullptr;
    if (client == nullptr) return null_argument("client");
    depot::machine::BuildOptions to;
    DEPOT_TRY(read_build_options(options, to));
    auto handle = std::make_unique<depot_build>();
    DEPOT_ASSIGN(handle->build, depot::machine::Build::create(client->client, to));
    *out = handle.release();
    return {};
  });
}

depot_code depot_build_finish(depot_build* build, depot_outcome outcome, const char* message,
                              depot_error** error) {
  return guard(error, [&]() -> Status {
    if (build == nullptr) return null_argument("build");
    if (outcome < DEPOT_OUTCOME_SUCCESS || outcome > DEPOT_OUTCOME_CANCELED)
      return depot::base::usage_error("outcome " + std::to_string(outcome) + " is none");
    return build->build->finish(static_cast<depot::machine::Outcome>(outcome),
                                text_or_empty(message));
  });
}

const char* depot_build_id(const depot_build* build) {
  return build == nullptr ? "" : build->build->id().c_str();
}
const char* depot_build_project(const depot_build* build) {
  return build == nullptr ? "" : build->build->project().c_str();
}
const char* depot_build_url(const depot_build* build) {
  return build == nullptr ? "" : build->build->url().c_str();
}

void depot_build_free(depot_build* build) {
  delete build;
}

#include <map>

#include "depot/solve.h"
#include "guard.h"
#include "handles.h"
#include "options.h"
#include "solve/result.h"
#include "solve_arguments.h"
#include "status.h"

using depot::base::Status;
using namespace depot::capi;  // NOLINT: one file, one purpose

namespace depot::capi {

base::Status read_build_options(const depot_build_options* options, machine::BuildOptions& out);

base::Status read_solve_options(const depot_solve_options* options, SolveArguments& out) {
  constexpr size_t kSizeV1 = offsetof(depot_solve_options, user_data_free) + sizeof(depot_free_cb);
  depot_solve_options given;
  DEPOT_TRY(read_options(options, kSizeV1, "depot_solve_options", given));
  out.data = std::make_shared<UserData>(given.user_data);
  out.data->own(given.user_data_free);
  if (given.timeout_ms < 0) return base::usage_error("depot_solve_options.timeout_ms is negative");
  out.options.cancel = cancel_of(given.cancel);
  out.options.timeout = std::chrono::milliseconds(given.timeout_ms);
  if (given.on_status != nullptr) {
    out.options.on_status = [callback = given.on_status,
                             data = out.data](const depot::solve::StatusBatch& batch) {
      depot_status status{&batch.message, &batch.bytes, &batch.credential_uses, {}, {}, {}, {}};
      return callback(&status, data->get());
    };
  }
  return {};
}

}  // namespace depot::capi

namespace {

depot_result* make_result(depot::solve::Result solved, const std::string& build_id,
                          const std::string& build_url) {
  auto result = std::make_unique<depot_result>();
  result->result = std::move(solved);
  result->build_id = build_id;
  result->build_url = build_url;
  result->descriptor = depot::solve::descriptor_of(result->result.response);
  result->metadata = depot::solve::metadata_json(result->result.response);
  result->call = view_of(result->result.call);
  for (const auto& [key, value] : result->result.response) result->keys.push_back(&key);
  result->sent = depot::solve::sent_files(result->result.synced);
  return result.release();
}

}  // namespace

void depot_solve_options_init(depot_solve_options* options, size_t size) {
  init_options(options, size);
}

depot_code depot_solve(depot_machine* machine, const depot_solve_request* request,
                       const depot_solve_options* options, depot_result** out,
                       depot_error** error) {
  return guard(error, [&]() -> Status {
    SolveArguments arguments;
    DEPOT_TRY(read_solve_options(options, arguments));
    if (out == nullptr) return null_argument("out");
    *out = nullptr;
    if (machine == nullptr) return null_argument("machine");
    if (request == nullptr) return null_argument("request");
    auto held =
        machine->machine;  // a callback that frees the handle must not pull it from under us
    DEPOT_ASSIGN(auto solved, held->solve(request->request, arguments.options));
    *out = make_result(std::move(solved), held->build()->id(), held->build()->url());
    return {};
  });
}

depot_code depot_client_build(const depot_client* client, const depot_build_options* build_options,
                              const char* platform, const depot_solve_request* request,
                              const depot_solve_options* solve_options, depot_result** out,
                              depot_error** error) {
  return guard(error, [&]() -> Status {
    SolveArguments arguments;
    DEPOT_TRY(read_solve_options(solve_options, arguments));
    if (out == nullptr) return null_argument("out");
    *out = nullptr;
    if (client == nullptr) return null_argument("client");
    if (request == nullptr) return null_argument("request");
    depot::machine::BuildOptions build;
    DEPOT_TRY(read_build_options(build_options, build));
    DEPOT_ASSIGN(auto flow, depot::machine::run_flow(client->client, build, text_or_empty(platform),
                                                     request->request, arguments.options));
    *out = make_result(std::move(flow.result), flow.build_id, flow.build_url);
    return {};
  });
}

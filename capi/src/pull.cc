#include "machine/pull.h"

#include "ask.h"
#include "depot/builds.h"
#include "guard.h"
#include "hand_out.h"
#include "options.h"
#include "solve_arguments.h"

using depot::base::Status;
using namespace depot::capi;  // NOLINT: one file, one purpose
namespace machine = depot::machine;

void depot_pull_options_init(depot_pull_options* options, size_t size) {
  init_options(options, size);
}

depot_code depot_client_pull(const depot_client* client, const char* what,
                             const depot_pull_options* options,
                             const depot_solve_options* solve_options, depot_error** error) {
  return guard(error, [&]() -> Status {
    SolveArguments arguments;
    DEPOT_TRY(read_solve_options(solve_options, arguments));
    if (client == nullptr) return null_argument("client");
    if (what == nullptr) return null_argument("what");
    constexpr size_t kSizeV1 = DEPOT_SIZE_TO(depot_pull_options, into);
    depot_pull_options given;
    DEPOT_TRY(read_options(options, kSizeV1, "depot_pull_options", given));
    machine::PullOptions pull;
    pull.api.token = text_or_empty(given.token);
    pull.api.cancel = arguments.options.cancel;
    pull.api.timeout = arguments.options.timeout;
    DEPOT_TRY(read_list(given.tags, "depot_pull_options.tags", pull.tags));
    DEPOT_TRY(read_list(given.targets, "depot_pull_options.targets", pull.targets));
    pull.platform = text_or_empty(given.platform);
    pull.into = text_or_empty(given.into);
    pull.on_status = arguments.options.on_status;
    return machine::pull(*client->client, what, pull).status();
  });
}

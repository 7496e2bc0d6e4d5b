#include "depot/machine.h"

#include "guard.h"
#include "handles.h"
#include "options.h"

using depot::base::Status;
using namespace depot::capi;  // NOLINT: one file, one purpose

namespace {

Status read_wait_options(const depot_machine_options* options, depot::machine::WaitOptions& out) {
  constexpr size_t kSizeV1 = offsetof(depot_machine_options, timeout_ms) + sizeof(int64_t);
  depot_machine_options given;
  DEPOT_TRY(read_options(options, kSizeV1, "depot_machine_options", given));
  out.cancel = cancel_of(given.cancel);
  if (given.timeout_ms < 0)
    return depot::base::usage_error("depot_machine_options.timeout_ms is negative");
  if (given.timeout_ms > 0) out.timeout = std::chrono::milliseconds(given.timeout_ms);
  return {};
}

}  // namespace

void depot_machine_options_init(depot_machine_options* options, size_t size) {
  init_options(options, size);
}

depot_code depot_machine_acquire(depot_build* build, const char* platform,
                                 const depot_machine_options* options, depot_machine** out,
                                 depot_error** error) {
  return guard(error, [&]() -> Status {
    if (out == nullptr) return null_argument("out");
    *out = nullptr;
    if (build == nullptr) return null_argument("build");
    depot::machine::WaitOptions wait;
    DEPOT_TRY(read_wait_options(options, wait));
    auto handle = std::make_unique<depot_machine>();
    DEPOT_ASSIGN(handle->machine,
                 depot::machine::Machine::acquire(build->build, text_or_empty(platform), wait));
    *out = handle.release();
    return {};
  });
}

depot_code depot_machine_connect(depot_machine* machine, const depot_machine_options* options,
                                 depot_error** error) {
  return guard(error, [&]() -> Status {
    if (machine == nullptr) return null_argument("machine");
    depot::machine::WaitOptions wait;
    DEPOT_TRY(read_wait_options(options, wait));
    return machine->machine->connect(wait);
  });
}

const char* depot_machine_endpoint(const depot_machine* machine) {
  return machine == nullptr ? "" : machine->machine->endpoint().c_str();
}
const char* depot_machine_platform(const depot_machine* machine) {
  return machine == nullptr ? "" : machine->machine->platform().c_str();
}

void depot_machine_release(depot_machine* machine) {
  if (machine != nullptr) machine->machine->release();
}

void depot_machine_free(depot_machine* machine) {
  depot_machine_release(machine);
  delete machine;
}

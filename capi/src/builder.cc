#include "depot/builder.h"

#include <chrono>

#include "ask.h"
#include "builder/disk_usage.h"
#include "builder/workers.h"
#include "guard.h"
#include "hand_out.h"
#include "options.h"
#include "solve/limits.h"

using depot::base::Status;
using namespace depot::capi;  // NOLINT: one file, one purpose
namespace builder = depot::builder;
namespace machine = depot::machine;
using std::chrono::milliseconds;

namespace depot::capi {

base::Status read_wait(const depot_cancel* cancel, int64_t timeout_ms, const char* name,
                       machine::WaitOptions& out) {
  if (timeout_ms < 0) return base::usage_error(std::string(name) + ".timeout_ms is negative");
  out.cancel = cancel_of(cancel);
  out.timeout = milliseconds(timeout_ms);
  return {};
}

base::Status read_ask_options(const depot_ask_options* options, machine::WaitOptions& out) {
  constexpr size_t kSizeV1 = DEPOT_SIZE_TO(depot_ask_options, timeout_ms);
  depot_ask_options given;
  DEPOT_TRY(read_options(options, kSizeV1, "depot_ask_options", given));
  return read_wait(given.cancel, given.timeout_ms, "depot_ask_options", out);
}

base::Status read_list(const char* const* given, const char* name, std::vector<std::string>& out) {
  constexpr size_t kMost = 10000;
  for (size_t i = 0; given != nullptr && given[i] != nullptr; ++i) {
    if (i == kMost) return base::usage_error(std::string(name) + " has no NULL at its end");
    out.emplace_back(given[i]);
  }
  return {};
}

base::Status ask(depot_machine* machine, const machine::WaitOptions& options,
                 milliseconds by_default, const Question& question) {
  auto held = machine->machine;  // a callback that frees the handle must not pull it from under us
  return held->ask(
      options, [&](buildkit::Channel& channel, const std::vector<buildkit::Worker>& workers,
                   const base::Cancel& cancel, milliseconds left) {
        return question(channel, workers, {cancel, left.count() > 0 ? left : by_default});
      });
}

base::Status ended_by(const char* callback, int32_t code) {
  base::Error error;
  error.code = base::Code::kCancelled;
  error.hop = base::Hop::kCallback;
  error.message = std::string("the ") + callback + " callback returned " + std::to_string(code);
  error.user_code = code;
  return Status(std::move(error));
}

}  // namespace depot::capi

struct depot_workers {
  std::vector<builder::WorkerInfo> workers;
  struct View {
    Strings platforms;
    Pairs labels;
    std::vector<Strings> gc_filters;
  };
  std::vector<View> views;
};

struct depot_builder_info {
  builder::BuildkitVersion version;
};

struct depot_disk_usage {
  std::vector<builder::UsageRecord> records;
  std::vector<Strings> parents;
  int64_t total = 0, reclaimable = 0, shared = 0;
};

namespace {

constexpr milliseconds kAsk = std::chrono::minutes(10);
constexpr milliseconds kPrune = std::chrono::hours(1);

// What the structs were in 0.1.0: the least that a caller can have.
constexpr size_t kFirstWorker = DEPOT_SIZE_TO(depot_worker, device_count);
constexpr size_t kFirstPolicy = DEPOT_SIZE_TO(depot_gc_policy, reserved);
constexpr size_t kFirstDevice = DEPOT_SIZE_TO(depot_device, on_demand);
constexpr size_t kFirstRecord = DEPOT_SIZE_TO(depot_usage_record, reserved);

depot_usage_record record_of(const builder::UsageRecord& from, const Strings& parents) {
  depot_usage_record out{};
  out.size = sizeof out;
  out.id = from.id.c_str();
  out.type = from.type.c_str();
  out.description = from.description.c_str();
  out.parent_count = parents.size();
  out.parents = parents.data();
  out.bytes = from.size;
  out.created = from.created;
  out.last_used = from.last_used;
  out.usage_count = from.usage_count;
  out.in_use = from.in_use ? 1 : 0;
  out.is_mutable = from.is_mutable ? 1 : 0;
  out.is_shared = from.shared ? 1 : 0;
  return out;
}

// As the command lines sum up: what has no size does not count.
void sum_up(depot_disk_usage& usage) {
  for (const auto& record : usage.records) {
    usage.parents.push_back(strings_of(record.parents));
    if (record.size <= 0) continue;
    usage.total += record.size;
    if (!record.in_use) usage.reclaimable += record.size;
    if (record.shared) usage.shared += record.size;
  }
}

const builder::WorkerInfo* worker_at(const depot_workers* workers, size_t index) {
  return index < depot_workers_count(workers) ? &workers->workers[index] : nullptr;
}

}  // namespace

void depot_ask_options_init(depot_ask_options* options, size_t size) {
  init_options(options, size);
}
void depot_prune_options_init(depot_prune_options* options, size_t size) {
  init_options(options, size);
}

depot_code depot_workers_new(depot_machine* machine, const char* const* filters,
                             const depot_ask_options* options, depot_workers** out,
                             depot_error** error) {
  return guard(error, [&]() -> Status {
    if (out == nullptr) return null_argument("out");
    *out = nullptr;
    if (machine == nullptr) return null_argument("machine");
    machine::WaitOptions wait;
    DEPOT_TRY(read_ask_options(options, wait));
    std::vector<std::string> wanted;
    DEPOT_TRY(read_list(filters, "filters", wanted));
    auto handle = std::make_unique<depot_workers>();
    DEPOT_TRY(ask(machine, wait, kAsk, [&](auto& channel, auto&, auto& how) -> Status {
      DEPOT_ASSIGN(handle->workers, builder::list_workers(channel, wanted, how));
      return {};
    }));
    for (const auto& worker : handle->workers) {
      auto& view = handle->views.emplace_back();
      view.platforms = strings_of(worker.platforms);
      view.labels = pairs_of(worker.labels);
      for (const auto& policy : worker.gc_policies)
        view.gc_filters.push_back(strings_of(policy.filters));
    }
    *out = handle.release();
    return {};
  });
}

size_t depot_workers_count(const depot_workers* workers) {
  return workers == nullptr ? 0 : workers->workers.size();
}

int32_t depot_workers_get(const depot_workers* workers, size_t index, depot_worker* out) {
  const auto* from = worker_at(workers, index);
  if (from == nullptr) return 0;
  const auto& view = workers->views[index];
  depot_worker worker{};
  worker.id = from->id.c_str();
  worker.platform_count = view.platforms.size();
  worker.platforms = view.platforms.data();
  worker.label_count = view.labels.keys.size();
  worker.label_keys = view.labels.keys.data();
  worker.label_values = view.labels.values.data();
  worker.buildkit_version = from->buildkit.version.c_str();
  worker.buildkit_package = from->buildkit.package.c_str();
  worker.buildkit_revision = from->buildkit.revision.c_str();
  worker.dockerfile_version = from->buildkit.dockerfile.c_str();
  worker.gc_policy_count = from->gc_policies.size();
  worker.device_count = from->devices.size();
  return hand_out(worker, kFirstWorker, out);
}

int32_t depot_workers_gc_policy(const depot_workers* workers, size_t worker, size_t index,
                                depot_gc_policy* out) {
  const auto* of = worker_at(workers, worker);
  if (of == nullptr || index >= of->gc_policies.size()) return 0;
  const auto& from = of->gc_policies[index];
  const auto& filters = workers->views[worker].gc_filters[index];
  depot_gc_policy policy{};
  policy.filter_count = filters.size();
  policy.filters = filters.data();
  policy.keep_duration_ms = std::chrono::ceil<milliseconds>(from.keep_duration).count();
  policy.reserved_space = from.reserved_space;
  policy.max_used_space = from.max_used_space;
  policy.min_free_space = from.min_free_space;
  policy.all = from.all ? 1 : 0;
  return hand_out(policy, kFirstPolicy, out);
}

int32_t depot_workers_device(const depot_workers* workers, size_t worker, size_t index,
                             depot_device* out) {
  const auto* of = worker_at(workers, worker);
  if (of == nullptr || index >= of->devices.size()) return 0;
  const auto& from = of->devices[index];
  depot_device device{};
  device.name = from.name.c_str();
  device.auto_allow = from.auto_allow ? 1 : 0;
  device.on_demand = from.on_demand ? 1 : 0;
  return hand_out(device, kFirstDevice, out);
}

void depot_workers_free(depot_workers* workers) {
  delete workers;
}

depot_code depot_builder_info_new(depot_machine* machine, const depot_ask_options* options,
                                  depot_builder_info** out, depot_error** error) {
  return guard(error, [&]() -> Status {
    if (out == nullptr) return null_argument("out");
    *out = nullptr;
    if (machine == nullptr) return null_argument("machine");
    machine::WaitOptions wait;
    DEPOT_TRY(read_ask_options(options, wait));
    auto handle = std::make_unique<depot_builder_info>();
    DEPOT_TRY(ask(machine, wait, kAsk, [&](auto& channel, auto&, auto& how) -> Status {
      DEPOT_ASSIGN(handle->version, builder::info(channel, how));
      return {};
    }));
    *out = handle.release();
    return {};
  });
}

const char* depot_builder_info_version(const depot_builder_info* info) {
  return info == nullptr ? "" : info->version.version.c_str();
}
const char* depot_builder_info_package(const depot_builder_info* info) {
  return info == nullptr ? "" : info->version.package.c_str();
}
const char* depot_builder_info_revision(const depot_builder_info* info) {
  return info == nullptr ? "" : info->version.revision.c_str();
}
const char* depot_builder_info_dockerfile_version(const depot_builder_info* info) {
  return info == nullptr ? "" : info->version.dockerfile.c_str();
}

void depot_builder_info_free(depot_builder_info* info) {
  delete info;
}

depot_code depot_disk_usage_new(depot_machine* machine, const char* const* filters,
                                const depot_ask_options* options, depot_disk_usage** out,
                                depot_error** error) {
  return guard(error, [&]() -> Status {
    if (out == nullptr) return null_argument("out");
    *out = nullptr;
    if (machine == nullptr) return null_argument("machine");
    machine::WaitOptions wait;
    DEPOT_TRY(read_ask_options(options, wait));
    std::vector<std::string> given;
    DEPOT_TRY(read_list(filters, "filters", given));
    DEPOT_ASSIGN(auto wanted, builder::parse_filters(given));
    auto handle = std::make_unique<depot_disk_usage>();
    DEPOT_TRY(ask(machine, wait, kAsk, [&](auto& channel, auto& workers, auto& how) -> Status {
      DEPOT_ASSIGN(handle->records, builder::disk_usage(channel, workers, wanted, how));
      return {};
    }));
    sum_up(*handle);
    *out = handle.release();
    return {};
  });
}

size_t depot_disk_usage_count(const depot_disk_usage* usage) {
  return usage == nullptr ? 0 : usage->records.size();
}

int32_t depot_disk_usage_get(const depot_disk_usage* usage, size_t index, depot_usage_record* out) {
  if (index >= depot_disk_usage_count(usage)) return 0;
  return hand_out(record_of(usage->records[index], usage->parents[index]), kFirstRecord, out);
}

int64_t depot_disk_usage_total(const depot_disk_usage* usage) {
  return usage == nullptr ? 0 : usage->total;
}
int64_t depot_disk_usage_reclaimable(const depot_disk_usage* usage) {
  return usage == nullptr ? 0 : usage->reclaimable;
}
int64_t depot_disk_usage_shared(const depot_disk_usage* usage) {
  return usage == nullptr ? 0 : usage->shared;
}

void depot_disk_usage_free(depot_disk_usage* usage) {
  delete usage;
}

depot_code depot_prune(depot_machine* machine, const depot_prune_options* options, int64_t* bytes,
                       depot_error** error) {
  return guard(error, [&]() -> Status {
    if (bytes != nullptr) *bytes = 0;
    if (options == nullptr) return null_argument("options");
    constexpr size_t kSizeV1 = DEPOT_SIZE_TO(depot_prune_options, timeout_ms);
    depot_prune_options given;
    DEPOT_TRY(read_options(options, kSizeV1, "depot_prune_options", given));
    UserData data(given.user_data);
    data.own(given.user_data_free);
    if (machine == nullptr) return null_argument("machine");
    machine::WaitOptions wait;
    DEPOT_TRY(read_wait(given.cancel, given.timeout_ms, "depot_prune_options", wait));
    std::vector<std::string> filters;
    DEPOT_TRY(read_list(given.filters, "filters", filters));
    builder::PruneOptions wanted;
    DEPOT_ASSIGN(wanted.filters, builder::parse_filters(filters));
    if (given.reserved_space < 0 || given.max_used_space < 0 || given.min_free_space < 0)
      return depot::base::usage_error("a number of bytes is negative");
    wanted.all = given.all != 0;
    wanted.reserved_space = given.reserved_space;
    wanted.max_used_space = given.max_used_space;
    wanted.min_free_space = given.min_free_space;
    builder::OnPruned on_pruned;
    if (given.on_record != nullptr) {
      on_pruned = [&](const builder::UsageRecord& record) -> Status {
        Strings parents = strings_of(record.parents);
        depot_usage_record view = record_of(record, parents);
        int32_t code = given.on_record(&view, data.get());
        return code == 0 ? Status() : ended_by("prune", code);
      };
    }
    return ask(machine, wait, kPrune, [&](auto& channel, auto& workers, auto& how) -> Status {
      DEPOT_ASSIGN(auto pruned, builder::prune(channel, workers, wanted, on_pruned, how));
      if (bytes != nullptr) *bytes = pruned.bytes;
      return {};
    });
  });
}

depot_code depot_parse_size(const char* text, int64_t* out, depot_error** error) {
  return guard(error, [&]() -> Status {
    if (text == nullptr) return null_argument("text");
    if (out == nullptr) return null_argument("out");
    DEPOT_ASSIGN(*out, depot::solve::parse_size(text));
    return {};
  });
}

depot_code depot_parse_duration(const char* text, int64_t* out_ms, depot_error** error) {
  return guard(error, [&]() -> Status {
    if (text == nullptr) return null_argument("text");
    if (out_ms == nullptr) return null_argument("out_ms");
    DEPOT_ASSIGN(auto duration, builder::parse_duration(text));
    *out_ms = std::chrono::ceil<milliseconds>(duration).count();
    return {};
  });
}

#include "depot/history.h"

#include <moby/buildkit/v1/control.pb.h>

#include "ask.h"
#include "builder/history.h"
#include "guard.h"
#include "hand_out.h"
#include "options.h"
#include "progress/error_text.h"
#include "status.h"

using depot::base::Status;
using namespace depot::capi;  // NOLINT: one file, one purpose
namespace builder = depot::builder;
namespace machine = depot::machine;

struct depot_history {
  std::vector<builder::HistoryRecord> records;
  struct View {
    Pairs attrs, response;
    Strings exporters;
    std::string error_text;
  };
  std::vector<View> views;
};

namespace {

constexpr std::chrono::milliseconds kAsk = std::chrono::minutes(10);

// What the structs were in 0.1.0: the least that a caller can have.
constexpr size_t kFirstRecord = DEPOT_SIZE_TO(depot_history_record, reserved);
constexpr size_t kFirstBlob = DEPOT_SIZE_TO(depot_blob, reserved);

const builder::HistoryRecord* record_at(const depot_history* history, size_t index) {
  return index < depot_history_count(history) ? &history->records[index] : nullptr;
}

}  // namespace

void depot_history_options_init(depot_history_options* options, size_t size) {
  init_options(options, size);
}

depot_code depot_history_new(depot_machine* machine, const depot_history_options* options,
                             depot_history** out, depot_error** error) {
  return guard(error, [&]() -> Status {
    if (out == nullptr) return null_argument("out");
    *out = nullptr;
    if (machine == nullptr) return null_argument("machine");
    constexpr size_t kSizeV1 = DEPOT_SIZE_TO(depot_history_options, timeout_ms);
    depot_history_options given;
    DEPOT_TRY(read_options(options, kSizeV1, "depot_history_options", given));
    machine::WaitOptions wait;
    DEPOT_TRY(read_wait(given.cancel, given.timeout_ms, "depot_history_options", wait));
    builder::HistoryOptions wanted;
    DEPOT_TRY(read_list(given.filters, "filters", wanted.filters));
    for (const auto& filter : wanted.filters)
      DEPOT_TRY(builder::parse_history_filter(filter).status());
    wanted.ref = text_or_empty(given.ref);
    wanted.limit = given.limit;
    if (wanted.limit < 0) return depot::base::usage_error("the history's limit is negative");
    wanted.active_only = given.active_only != 0;
    auto handle = std::make_unique<depot_history>();
    DEPOT_TRY(ask(machine, wait, kAsk, [&](auto& channel, auto& workers, auto& how) -> Status {
      DEPOT_ASSIGN(handle->records, builder::list_history(channel, workers, wanted, how));
      return {};
    }));
    for (const auto& record : handle->records) {
      auto& view = handle->views.emplace_back();
      view.attrs = pairs_of(record.attrs);
      view.response = pairs_of(record.response);
      for (const auto& [type, attrs] : record.exporters) view.exporters.push_back(type.c_str());
      if (record.error.ok()) continue;
      view.error_text = depot::progress::error_text(record.error.error());
    }
    *out = handle.release();
    return {};
  });
}

size_t depot_history_count(const depot_history* history) {
  return history == nullptr ? 0 : history->records.size();
}

int32_t depot_history_get(const depot_history* history, size_t index, depot_history_record* out) {
  const auto* from = record_at(history, index);
  if (from == nullptr) return 0;
  const auto& view = history->views[index];
  depot_history_record record{};
  record.ref = from->ref.c_str();
  record.name = from->name.c_str();
  record.frontend = from->frontend.c_str();
  record.attr_count = view.attrs.keys.size();
  record.attr_keys = view.attrs.keys.data();
  record.attr_values = view.attrs.values.data();
  record.response_count = view.response.keys.size();
  record.response_keys = view.response.keys.data();
  record.response_values = view.response.values.data();
  record.exporter_count = view.exporters.size();
  record.exporters = view.exporters.data();
  record.blob_count = from->blobs.size();
  record.error = from->error.message().c_str();
  record.error_text = view.error_text.c_str();
  record.error_code = static_cast<int32_t>(from->error.code());
  record.created = from->created;
  record.completed = from->completed;
  record.state = static_cast<int32_t>(from->state);
  record.total_steps = from->total_steps;
  record.completed_steps = from->completed_steps;
  record.cached_steps = from->cached_steps;
  record.warnings = from->warnings;
  record.pinned = from->pinned ? 1 : 0;
  return hand_out(record, kFirstRecord, out);
}

int32_t depot_history_blob(const depot_history* history, size_t record, size_t index,
                           depot_blob* out) {
  const auto* of = record_at(history, record);
  if (of == nullptr || index >= of->blobs.size()) return 0;
  const auto& from = of->blobs[index];
  depot_blob blob{};
  blob.type = from.type.c_str();
  blob.platform = from.platform.c_str();
  blob.digest = from.digest.c_str();
  blob.bytes = from.size;
  blob.kind = static_cast<int32_t>(from.kind);
  return hand_out(blob, kFirstBlob, out);
}

void depot_history_free(depot_history* history) {
  delete history;
}

depot_code depot_history_logs(depot_machine* machine, const char* ref,
                              const depot_solve_options* options, depot_error** error) {
  return guard(error, [&]() -> Status {
    constexpr size_t kSizeV1 = DEPOT_SIZE_TO(depot_solve_options, user_data_free);
    depot_solve_options given;
    DEPOT_TRY(read_options(options, kSizeV1, "depot_solve_options", given));
    UserData data(given.user_data);
    data.own(given.user_data_free);
    if (machine == nullptr) return null_argument("machine");
    if (ref == nullptr) return null_argument("ref");
    machine::WaitOptions wait;
    DEPOT_TRY(read_wait(given.cancel, given.timeout_ms, "depot_solve_options", wait));
    std::string build = ref;
    auto on_status = [&](const std::string& bytes) -> Status {
      if (given.on_status == nullptr) return {};
      ::moby::buildkit::v1::StatusResponse batch;
      if (!batch.ParseFromString(bytes))
        return Status(depot::base::Code::kInternal, depot::base::Hop::kMachine,
                      "Status: a batch cannot be parsed");
      const std::vector<depot::solve::CredentialUse> none;
      depot_status status{&batch, &bytes, &none, {}, {}, {}, {}};
      int32_t code = given.on_status(&status, data.get());
      return code == 0 ? Status() : ended_by("status", code);
    };
    return ask(machine, wait, kAsk, [&](auto& channel, auto&, auto& how) {
      return builder::read_logs(channel, build, on_status, how);
    });
  });
}

depot_code depot_history_delete(depot_machine* machine, const char* ref,
                                const depot_ask_options* options, depot_error** error) {
  return guard(error, [&]() -> Status {
    if (machine == nullptr) return null_argument("machine");
    if (ref == nullptr) return null_argument("ref");
    machine::WaitOptions wait;
    DEPOT_TRY(read_ask_options(options, wait));
    return ask(machine, wait, kAsk, [&](auto& channel, auto&, auto& how) {
      return builder::delete_history(channel, ref, how);
    });
  });
}

depot_code depot_blob_read(depot_machine* machine, const char* digest, depot_write_cb write,
                           void* user_data, const depot_ask_options* options, depot_error** error) {
  return guard(error, [&]() -> Status {
    if (machine == nullptr) return null_argument("machine");
    if (digest == nullptr) return null_argument("digest");
    if (write == nullptr) return null_argument("write");
    machine::WaitOptions wait;
    DEPOT_TRY(read_ask_options(options, wait));
    auto on_bytes = [&](const std::string& bytes) -> Status {
      int32_t code = write(reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size(), user_data);
      return code == 0 ? Status() : ended_by("write", code);
    };
    return ask(machine, wait, kAsk, [&](auto& channel, auto&, auto& how) {
      return builder::read_blob(channel, digest, on_bytes, how);
    });
  });
}

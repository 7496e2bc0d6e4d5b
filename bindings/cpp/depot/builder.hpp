// The builder's books: what Machine's methods of depot/builder.h and depot/history.h give.
#ifndef DEPOT_BUILDER_HPP
#define DEPOT_BUILDER_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <exception>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "depot/builder.h"
#include "depot/callback.hpp"
#include "depot/cancel.hpp"
#include "depot/error.hpp"
#include "depot/history.h"

namespace depot {

/// A rule by which a worker cleans its cache by itself. 0: no such limit.
struct GcPolicy {
  bool all = false;
  std::chrono::milliseconds keep_duration{0};
  std::int64_t reserved_space = 0, max_used_space = 0, min_free_space = 0;
  std::vector<std::string> filters;
};

/// A device (CDI) that a step may ask for.
struct Device {
  std::string name;
  bool auto_allow = false, on_demand = false;
};

/// What does the work in a builder.
struct Worker {
  std::string id;
  std::vector<std::string> platforms;
  std::map<std::string, std::string> labels;
  std::string buildkit_version, buildkit_package, buildkit_revision, dockerfile_version;
  std::vector<GcPolicy> gc_policies;
  std::vector<Device> devices;
};

/// Which BuildKit a builder is.
struct BuilderInfo {
  std::string version, package, revision, dockerfile_version;
};

/// One record of a builder's cache. Times are nanoseconds since 1970, 0: never.
struct UsageRecord {
  std::string id, type, description;
  std::vector<std::string> parents;
  std::int64_t size = 0, created = 0, last_used = 0, usage_count = 0;
  bool in_use = false, is_mutable = false, shared = false;
};

/// What a cache holds, and the sums of that.
struct DiskUsage {
  std::vector<UsageRecord> records;
  std::int64_t total = 0, reclaimable = 0, shared = 0;
};

/// Each record that was removed: return nothing or 0 to go on.
using OnPruned = Callback<const UsageRecord&>;

/// What a build left with its builder.
struct Blob {
  std::int32_t kind = 0;  // DEPOT_BLOB_*
  std::string digest, type, platform;
  std::int64_t size = 0;
};

/// A build that a builder remembers. Times are nanoseconds since 1970, 0: not yet.
struct HistoryRecord {
  std::string ref, name, frontend;
  std::int32_t state = 0;  // DEPOT_BUILD_*
  std::map<std::string, std::string> attrs, response;
  std::vector<std::string> exporters;
  std::vector<Blob> blobs;
  std::string error;  // why it failed, or was cancelled
  std::int64_t created = 0, completed = 0;
  std::int32_t total_steps = 0, completed_steps = 0, cached_steps = 0, warnings = 0;
  bool pinned = false;
};

/// How long a question may take, connecting included.
class AskOptions {
 public:
  AskOptions& cancel(const Cancel& value) {
    cancel_ = value;
    return *this;
  }
  /// 0: ten minutes, an hour for a prune.
  AskOptions& timeout(std::chrono::milliseconds value) {
    timeout_ = value;
    return *this;
  }

 private:
  friend class Client;
  friend class Machine;

  depot_cancel* raw_cancel() const { return cancel_ ? cancel_->get() : nullptr; }
  depot_ask_options raw() const {
    depot_ask_options out{};
    out.size = sizeof(out);
    out.cancel = raw_cancel();
    out.timeout_ms = timeout_.count();
    return out;
  }

  std::optional<Cancel> cancel_;
  std::chrono::milliseconds timeout_{0};
};

/// What to remove from a cache. Filters as depot_disk_usage_new() has them.
struct PruneOptions {
  std::vector<std::string> filters;
  bool all = false;  // internal records and those of frontends, too
  std::int64_t reserved_space = 0, max_used_space = 0, min_free_space = 0;
  OnPruned on_record;
};

/// Which builds to list, as depot_history_options has it.
struct HistoryOptions {
  std::vector<std::string> filters;
  std::string ref;
  std::int32_t limit = 0;
  bool active_only = false;
};

namespace detail {

// With the NULL at its end.
inline std::vector<const char*> text_list(const std::vector<std::string>& texts) {
  std::vector<const char*> out;
  for (const auto& text : texts) out.push_back(text.c_str());
  out.push_back(nullptr);
  return out;
}

inline std::vector<std::string> texts_of(const char* const* texts, std::size_t count) {
  return count == 0 ? std::vector<std::string>() : std::vector<std::string>(texts, texts + count);
}

inline std::map<std::string, std::string> map_of(const char* const* keys, const char* const* values,
                                                 std::size_t count) {
  std::map<std::string, std::string> out;
  for (std::size_t i = 0; i < count; ++i) out.emplace(keys[i], values[i]);
  return out;
}

inline std::vector<Worker> workers_of(const depot_workers* raw) {
  std::vector<Worker> out;
  for (std::size_t i = 0; i < depot_workers_count(raw); ++i) {
    depot_worker w{};
    w.size = sizeof(w);
    if (depot_workers_get(raw, i, &w) == 0) continue;
    Worker& worker = out.emplace_back();
    worker.id = w.id;
    worker.platforms = texts_of(w.platforms, w.platform_count);
    worker.labels = map_of(w.label_keys, w.label_values, w.label_count);
    worker.buildkit_version = w.buildkit_version;
    worker.buildkit_package = w.buildkit_package;
    worker.buildkit_revision = w.buildkit_revision;
    worker.dockerfile_version = w.dockerfile_version;
    for (std::size_t p = 0; p < w.gc_policy_count; ++p) {
      depot_gc_policy g{};
      g.size = sizeof(g);
      if (depot_workers_gc_policy(raw, i, p, &g) == 0) continue;
      worker.gc_policies.push_back({g.all != 0, std::chrono::milliseconds(g.keep_duration_ms),
                                    g.reserved_space, g.max_used_space, g.min_free_space,
                                    texts_of(g.filters, g.filter_count)});
    }
    for (std::size_t d = 0; d < w.device_count; ++d) {
      depot_device device{};
      device.size = sizeof(device);
      if (depot_workers_device(raw, i, d, &device) == 0) continue;
      worker.devices.push_back({device.name, device.auto_allow != 0, device.on_demand != 0});
    }
  }
  return out;
}

inline UsageRecord usage_of(const depot_usage_record& r) {
  UsageRecord out;
  out.id = r.id;
  out.type = r.type;
  out.description = r.description;
  out.parents = texts_of(r.parents, r.parent_count);
  out.size = r.bytes;
  out.created = r.created;
  out.last_used = r.last_used;
  out.usage_count = r.usage_count;
  out.in_use = r.in_use != 0;
  out.is_mutable = r.is_mutable != 0;
  out.shared = r.is_shared != 0;
  return out;
}

inline DiskUsage disk_usage_of(const depot_disk_usage* raw) {
  DiskUsage out;
  out.total = depot_disk_usage_total(raw);
  out.reclaimable = depot_disk_usage_reclaimable(raw);
  out.shared = depot_disk_usage_shared(raw);
  for (std::size_t i = 0; i < depot_disk_usage_count(raw); ++i) {
    depot_usage_record r{};
    r.size = sizeof(r);
    if (depot_disk_usage_get(raw, i, &r) != 0) out.records.push_back(usage_of(r));
  }
  return out;
}

inline std::vector<HistoryRecord> history_of(const depot_history* raw) {
  std::vector<HistoryRecord> out;
  for (std::size_t i = 0; i < depot_history_count(raw); ++i) {
    depot_history_record r{};
    r.size = sizeof(r);
    if (depot_history_get(raw, i, &r) == 0) continue;
    HistoryRecord& record = out.emplace_back();
    record.ref = r.ref;
    record.name = r.name;
    record.frontend = r.frontend;
    record.state = r.state;
    record.attrs = map_of(r.attr_keys, r.attr_values, r.attr_count);
    record.response = map_of(r.response_keys, r.response_values, r.response_count);
    record.exporters = texts_of(r.exporters, r.exporter_count);
    record.created = r.created;
    record.completed = r.completed;
    record.total_steps = r.total_steps;
    record.completed_steps = r.completed_steps;
    record.cached_steps = r.cached_steps;
    record.warnings = r.warnings;
    record.pinned = r.pinned != 0;
    record.error = r.error;
    for (std::size_t b = 0; b < r.blob_count; ++b) {
      depot_blob blob{};
      blob.size = sizeof(blob);
      if (depot_history_blob(raw, i, b, &blob) != 0)
        record.blobs.push_back({blob.kind, blob.digest, blob.type, blob.platform, blob.bytes});
    }
  }
  return out;
}

// A callback of one question, and the exception that it threw.
template <class F>
struct Listener {
  const F& function;
  std::exception_ptr thrown = nullptr;

  template <class Make>
  std::int32_t hear(Make&& make) {
    try {
      return function(make());
    } catch (...) {
      thrown = std::current_exception();
      return kThrew;
    }
  }
  // Makes the call; what the function threw comes out of it.
  template <class Call>
  void run(Call&& f) {
    try {
      call(std::forward<Call>(f));
    } catch (const error&) {
      if (thrown) std::rethrow_exception(thrown);
      throw;
    }
    if (thrown) std::rethrow_exception(thrown);
  }
};

}  // namespace detail
}  // namespace depot

#endif

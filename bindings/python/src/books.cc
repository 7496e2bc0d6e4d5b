#include "books.h"

#include <pybind11/stl.h>

#include "error.h"
#include "reporting.h"
#include "status.h"

namespace depot::python {

namespace {

using WorkersHandle = Handle<depot_workers, depot_workers_free>;
using InfoHandle = Handle<depot_builder_info, depot_builder_info_free>;
using UsageHandle = Handle<depot_disk_usage, depot_disk_usage_free>;
using HistoryHandle = Handle<depot_history, depot_history_free>;

py::tuple texts(size_t count, const char* const* values) {
  py::tuple out(count);
  for (size_t i = 0; i < count; ++i) out[i] = text(values[i]);
  return out;
}

py::dict pairs(size_t count, const char* const* keys, const char* const* values) {
  py::dict out;
  for (size_t i = 0; i < count; ++i) out[text(keys[i])] = text(values[i]);
  return out;
}

// Every entry of a list, by `make(entry, index)`.
template <class Entry, class Get, class Make>
py::list entries(size_t count, Get get, Make make) {
  py::list out;
  for (size_t i = 0; i < count; ++i) {
    Entry entry{};
    entry.size = sizeof entry;
    if (get(i, &entry) == 1) out.append(make(entry, i));
  }
  return out;
}

py::tuple usage_of(const depot_usage_record& r) {
  return py::make_tuple(text(r.id), text(r.type), text(r.description), r.bytes, r.created,
                        r.last_used, r.usage_count, r.in_use != 0, r.is_mutable != 0,
                        r.is_shared != 0, texts(r.parent_count, r.parents));
}

// What all have: the machine, and a limit of time.
class Asking : public Operation {
 public:
  Asking(const Machine& machine, int64_t timeout_ms)
      : machine_(machine.get()), timeout_ms_(timeout_ms) {}

 protected:
  depot_ask_options options(depot_cancel* cancel) const {
    depot_ask_options out = DEPOT_ASK_OPTIONS_INIT;
    out.cancel = cancel;
    out.timeout_ms = timeout_ms_;
    return out;
  }
  depot_machine* machine() const { return machine_->handle.get(); }
  int64_t timeout_ms() const { return timeout_ms_; }

 private:
  std::shared_ptr<SharedMachine> machine_;
  int64_t timeout_ms_;
};

class Workers : public Asking {
 public:
  Workers(const Machine& machine, std::vector<std::string> filters, int64_t timeout_ms)
      : Asking(machine, timeout_ms), filters_(std::move(filters)) {}
  depot_code run(depot_cancel* cancel, depot_error** error) override {
    auto with = options(cancel);
    return depot_workers_new(machine(), filters_.get(), &with, out_.out(), error);
  }
  py::object take() override {
    const depot_workers* all = out_.get();
    auto get = [&](size_t i, depot_worker* w) { return depot_workers_get(all, i, w); };
    return entries<depot_worker>(depot_workers_count(all), get, [&](const auto& w, size_t i) {
      auto policy = [&](size_t p, depot_gc_policy* to) {
        return depot_workers_gc_policy(all, i, p, to);
      };
      auto device = [&](size_t d, depot_device* to) { return depot_workers_device(all, i, d, to); };
      py::list policies =
          entries<depot_gc_policy>(w.gc_policy_count, policy, [](const auto& p, size_t) {
            return py::make_tuple(p.all != 0, static_cast<double>(p.keep_duration_ms) / 1000,
                                  p.reserved_space, p.max_used_space, p.min_free_space,
                                  texts(p.filter_count, p.filters));
          });
      py::list devices = entries<depot_device>(w.device_count, device, [](const auto& d, size_t) {
        return py::make_tuple(text(d.name), d.auto_allow != 0, d.on_demand != 0);
      });
      return py::make_tuple(text(w.id), texts(w.platform_count, w.platforms),
                            pairs(w.label_count, w.label_keys, w.label_values),
                            text(w.buildkit_version), text(w.buildkit_package),
                            text(w.buildkit_revision), text(w.dockerfile_version), policies,
                            devices);
    });
  }

 private:
  TextList filters_;
  WorkersHandle out_;
};

class Info : public Asking {
 public:
  using Asking::Asking;
  depot_code run(depot_cancel* cancel, depot_error** error) override {
    auto with = options(cancel);
    return depot_builder_info_new(machine(), &with, out_.out(), error);
  }
  py::object take() override {
    const depot_builder_info* info = out_.get();
    return py::make_tuple(
        text(depot_builder_info_version(info)), text(depot_builder_info_package(info)),
        text(depot_builder_info_revision(info)), text(depot_builder_info_dockerfile_version(info)));
  }

 private:
  InfoHandle out_;
};

class DiskUsage : public Asking {
 public:
  DiskUsage(const Machine& machine, std::vector<std::string> filters, int64_t timeout_ms)
      : Asking(machine, timeout_ms), filters_(std::move(filters)) {}
  depot_code run(depot_cancel* cancel, depot_error** error) override {
    auto with = options(cancel);
    return depot_disk_usage_new(machine(), filters_.get(), &with, out_.out(), error);
  }
  py::object take() override {
    const depot_disk_usage* usage = out_.get();
    auto get = [&](size_t i, depot_usage_record* r) { return depot_disk_usage_get(usage, i, r); };
    py::list records = entries<depot_usage_record>(
        depot_disk_usage_count(usage), get, [](const auto& r, size_t) { return usage_of(r); });
    return py::make_tuple(records, depot_disk_usage_total(usage),
                          depot_disk_usage_reclaimable(usage), depot_disk_usage_shared(usage));
  }

 private:
  TextList filters_;
  UsageHandle out_;
};

class Prune : public Asking {
 public:
  Prune(const Machine& machine, std::vector<std::string> filters, bool all, int64_t reserved_space,
        int64_t max_used_space, int64_t min_free_space, py::object on_record, int64_t timeout_ms)
      : Asking(machine, timeout_ms),
        filters_(std::move(filters)),
        on_record_(std::move(on_record)),
        heard_(!on_record_.is_none()) {
    options_.all = all ? 1 : 0;
    options_.reserved_space = reserved_space;
    options_.max_used_space = max_used_space;
    options_.min_free_space = min_free_space;
  }
  void drop_python() override {
    Operation::drop_python();
    on_record_ = py::object();
  }
  depot_code run(depot_cancel* cancel, depot_error** error) override {
    options_.filters = filters_.get();
    options_.on_record = heard_ ? on_record : nullptr;
    options_.user_data = this;
    options_.cancel = cancel;
    options_.timeout_ms = timeout_ms();
    return depot_prune(machine(), &options_, &bytes_, error);
  }
  py::object take() override { return py::int_(bytes_); }

 private:
  static int32_t on_record(const depot_usage_record* record, void* user_data) {
    auto* self = static_cast<Prune*>(user_data);
    return self->callbacks.call([&]() -> int32_t {
      py::object function = self->on_record_;  // ours, whatever it does to the call
      return answer_of(function(usage_of(*record)), "on_record");
    });
  }

  TextList filters_;
  py::object on_record_;
  bool heard_;
  depot_prune_options options_ = DEPOT_PRUNE_OPTIONS_INIT;
  int64_t bytes_ = 0;
};

py::object failure_of(const depot_history_record& r) {
  if (r.error_code == DEPOT_OK) return py::none();
  return py::make_tuple(r.error_code, text(r.error), text(r.error_text));
}

class History : public Asking {
 public:
  History(const Machine& machine, std::vector<std::string> filters, std::string ref, int32_t limit,
          bool active_only, int64_t timeout_ms)
      : Asking(machine, timeout_ms),
        filters_(std::move(filters)),
        ref_(std::move(ref)),
        limit_(limit),
        active_only_(active_only) {
    c_string(ref_);
  }
  depot_code run(depot_cancel* cancel, depot_error** error) override {
    depot_history_options with = DEPOT_HISTORY_OPTIONS_INIT;
    with.filters = filters_.get();
    with.ref = ref_.c_str();
    with.limit = limit_;
    with.active_only = active_only_ ? 1 : 0;
    with.cancel = cancel;
    with.timeout_ms = timeout_ms();
    return depot_history_new(machine(), &with, out_.out(), error);
  }
  py::object take() override {
    const depot_history* all = out_.get();
    auto get = [&](size_t i, depot_history_record* r) { return depot_history_get(all, i, r); };
    return entries<depot_history_record>(
        depot_history_count(all), get, [&](const auto& r, size_t i) {
          auto blob = [&](size_t b, depot_blob* to) { return depot_history_blob(all, i, b, to); };
          py::list blobs = entries<depot_blob>(r.blob_count, blob, [](const auto& b, size_t) {
            return py::make_tuple(b.kind, text(b.digest), text(b.type), text(b.platform), b.bytes);
          });
          return py::make_tuple(
              text(r.ref), text(r.name), r.state, r.created, r.completed, r.total_steps,
              r.completed_steps, r.cached_steps, r.warnings, r.pinned != 0, text(r.frontend),
              pairs(r.attr_count, r.attr_keys, r.attr_values), texts(r.exporter_count, r.exporters),
              pairs(r.response_count, r.response_keys, r.response_values), blobs, failure_of(r));
        });
  }

 private:
  TextList filters_;
  std::string ref_;
  int32_t limit_;
  bool active_only_;
  HistoryHandle out_;
};

class Logs : public Asking {
 public:
  Logs(const Machine& machine, std::string ref, py::object on_status, int64_t timeout_ms)
      : Asking(machine, timeout_ms), ref_(std::move(ref)), on_status_(std::move(on_status)) {
    c_string(ref_);
  }
  void drop_python() override {
    Operation::drop_python();
    on_status_ = py::object();
  }
  depot_code run(depot_cancel* cancel, depot_error** error) override {
    depot_solve_options with = DEPOT_SOLVE_OPTIONS_INIT;
    with.cancel = cancel;
    with.timeout_ms = timeout_ms();
    with.on_status = on_status;
    with.user_data = this;
    return depot_history_logs(machine(), ref_.c_str(), &with, error);
  }

 private:
  static int32_t on_status(const depot_status* status, void* user_data) {
    auto* self = static_cast<Logs*>(user_data);
    return self->callbacks.call([&]() -> int32_t {
      py::object function = self->on_status_;  // ours, whatever it does to the call
      return answer_of(function(make_status(status)), "on_status");
    });
  }

  std::string ref_;
  py::object on_status_;
};

class Delete : public Asking {
 public:
  Delete(const Machine& machine, std::string ref, int64_t timeout_ms)
      : Asking(machine, timeout_ms), ref_(std::move(ref)) {
    c_string(ref_);
  }
  depot_code run(depot_cancel* cancel, depot_error** error) override {
    auto with = options(cancel);
    return depot_history_delete(machine(), ref_.c_str(), &with, error);
  }

 private:
  std::string ref_;
};

// Bytes that are kept; blobs of a history are documents.
class ReadBlob : public Asking {
 public:
  ReadBlob(const Machine& machine, std::string digest, int64_t timeout_ms)
      : Asking(machine, timeout_ms), digest_(std::move(digest)) {
    c_string(digest_);
  }
  depot_code run(depot_cancel* cancel, depot_error** error) override {
    auto with = options(cancel);
    return depot_blob_read(machine(), digest_.c_str(), write, this, &with, error);
  }
  py::object take() override { return py::bytes(bytes_); }

 private:
  static int32_t write(const uint8_t* data, size_t size, void* user_data) {
    auto& bytes = static_cast<ReadBlob*>(user_data)->bytes_;
    if (bytes.size() + size > kMost) return 1;
    try {
      bytes.append(reinterpret_cast<const char*>(data), size);
    } catch (...) {
      return 1;
    }
    return 0;
  }

  static constexpr size_t kMost = size_t{1} << 30;
  std::string digest_;
  std::string bytes_;
};

template <class Made, class... Args>
std::unique_ptr<Call> ask(const CancelArgument& cancel, Args&&... args) {
  return std::make_unique<Call>(std::make_unique<Made>(std::forward<Args>(args)...), cancel);
}

using Filters = std::vector<std::string>;

}  // namespace

void define_books(py::module_& m) {
  m.def("workers", [](const Machine& machine, Filters filters, int64_t timeout_ms,
                      const CancelArgument& cancel) {
    return ask<Workers>(cancel, machine, std::move(filters), timeout_ms);
  });
  m.def("info", [](const Machine& machine, int64_t timeout_ms, const CancelArgument& cancel) {
    return ask<Info>(cancel, machine, timeout_ms);
  });
  m.def("disk_usage", [](const Machine& machine, Filters filters, int64_t timeout_ms,
                         const CancelArgument& cancel) {
    return ask<DiskUsage>(cancel, machine, std::move(filters), timeout_ms);
  });
  m.def("prune", [](const Machine& machine, Filters filters, bool all, int64_t reserved_space,
                    int64_t max_used_space, int64_t min_free_space, py::object on_record,
                    int64_t timeout_ms, const CancelArgument& cancel) {
    return ask<Prune>(cancel, machine, std::move(filters), all, reserved_space, max_used_space,
                      min_free_space, std::move(on_record), timeout_ms);
  });
  m.def("history", [](const Machine& machine, Filters filters, std::string ref, int32_t limit,
                      bool active_only, int64_t timeout_ms, const CancelArgument& cancel) {
    return ask<History>(cancel, machine, std::move(filters), std::move(ref), limit, active_only,
                        timeout_ms);
  });
  m.def("history_logs", [](const Machine& machine, std::string ref, py::object on_status,
                           int64_t timeout_ms, const CancelArgument& cancel) {
    return ask<Logs>(cancel, machine, std::move(ref), std::move(on_status), timeout_ms);
  });
  m.def("history_delete", [](const Machine& machine, std::string ref, int64_t timeout_ms,
                             const CancelArgument& cancel) {
    return ask<Delete>(cancel, machine, std::move(ref), timeout_ms);
  });
  m.def("read_blob", [](const Machine& machine, std::string digest, int64_t timeout_ms,
                        const CancelArgument& cancel) {
    return ask<ReadBlob>(cancel, machine, std::move(digest), timeout_ms);
  });
  m.def("parse_size", [](const std::string& given) {
    int64_t out = 0;
    check([&](depot_error** error) { return depot_parse_size(c_string(given), &out, error); });
    return out;
  });
  m.def("parse_duration", [](const std::string& given) {
    int64_t out = 0;
    check([&](depot_error** error) { return depot_parse_duration(c_string(given), &out, error); });
    return out;
  });
}

}  // namespace depot::python

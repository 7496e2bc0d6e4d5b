#include "operations.h"

#include "call_answer.h"
#include "reporting.h"

namespace depot::python {

namespace {

// depot_build_options with the strings that it points at.
class BuildArguments {
 public:
  BuildArguments(const Options& options, std::vector<std::string> tags, bool save = false,
                 std::vector<std::string> save_tags = {})
      : texts_(options), tags_(std::move(tags)), save_(save), save_tags_(std::move(save_tags)) {}
  depot_build_options get(depot_cancel* cancel, int64_t timeout_ms) const {
    depot_build_options out = DEPOT_BUILD_OPTIONS_INIT;
    out.project = texts_["project"];
    out.token = texts_["token"];
    out.build_id = texts_["build_id"];
    out.context_dir = texts_["context_dir"];
    out.tags = tags_.get();
    out.save = save_ ? 1 : 0;
    out.save_tags = save_tags_.get();
    out.cancel = cancel;
    out.timeout_ms = timeout_ms;
    return out;
  }

 private:
  Texts texts_;
  TextList tags_;
  bool save_;
  TextList save_tags_;
};

depot_machine_options wait_options(depot_cancel* cancel, int64_t timeout_ms) {
  depot_machine_options out = DEPOT_MACHINE_OPTIONS_INIT;
  out.cancel = cancel;
  out.timeout_ms = timeout_ms;
  return out;
}

// Runs `body` inside `exclusive`; DEPOT_CANCELLED, without an error object, when `cancel` came
// first.
template <class F>
depot_code exclusively(Exclusive& exclusive, const depot_cancel* cancel, F body) {
  bool entered = exclusive.enter(cancel);
  depot_code code = entered ? body() : DEPOT_CANCELLED;
  if (entered) exclusive.leave();
  return code;
}

class NewBuild : public Operation {
 public:
  NewBuild(std::shared_ptr<ClientHandle> client, BuildArguments arguments, int64_t timeout_ms)
      : client_(std::move(client)), arguments_(std::move(arguments)), timeout_ms_(timeout_ms) {}
  depot_code run(depot_cancel* cancel, depot_error** error) override {
    auto options = arguments_.get(cancel, timeout_ms_);
    return depot_build_new(client_->get(), &options, out_->handle.out(), error);
  }
  py::object take() override { return py::cast(std::make_unique<Build>(std::move(out_))); }

 private:
  std::shared_ptr<ClientHandle> client_;
  BuildArguments arguments_;
  int64_t timeout_ms_;
  std::shared_ptr<SharedBuild> out_ = std::make_shared<SharedBuild>();
};

class Finish : public Operation {
 public:
  Finish(std::shared_ptr<SharedBuild> build, int32_t outcome, std::string message)
      : build_(std::move(build)), outcome_(outcome), message_(std::move(message)) {}
  // Has a deadline of its own, and has to come through after a cancel too.
  bool cancellable() const override { return false; }
  depot_code run(depot_cancel*, depot_error** error) override {
    return exclusively(build_->exclusive, nullptr, [&] {
      return depot_build_finish(build_->handle.get(), outcome_, message_.c_str(), error);
    });
  }

 private:
  std::shared_ptr<SharedBuild> build_;
  int32_t outcome_;
  std::string message_;
};

class Acquire : public Operation {
 public:
  Acquire(std::shared_ptr<SharedBuild> build, std::string platform, int64_t timeout_ms)
      : build_(std::move(build)), platform_(std::move(platform)), timeout_ms_(timeout_ms) {}
  void wake() override { build_->exclusive.wake(); }
  depot_code run(depot_cancel* cancel, depot_error** error) override {
    return exclusively(build_->exclusive, cancel, [&] {
      auto options = wait_options(cancel, timeout_ms_);
      const char* platform = platform_.empty() ? nullptr : platform_.c_str();
      return depot_machine_acquire(build_->handle.get(), platform, &options, out_->handle.out(),
                                   error);
    });
  }
  py::object take() override { return py::cast(std::make_unique<Machine>(std::move(out_))); }

 private:
  std::shared_ptr<SharedBuild> build_;
  std::string platform_;
  int64_t timeout_ms_;
  std::shared_ptr<SharedMachine> out_ = std::make_shared<SharedMachine>();
};

class Connect : public Operation {
 public:
  Connect(std::shared_ptr<SharedMachine> machine, int64_t timeout_ms)
      : machine_(std::move(machine)), timeout_ms_(timeout_ms) {}
  void wake() override { machine_->exclusive.wake(); }
  depot_code run(depot_cancel* cancel, depot_error** error) override {
    return exclusively(machine_->exclusive, cancel, [&] {
      auto options = wait_options(cancel, timeout_ms_);
      return depot_machine_connect(machine_->handle.get(), &options, error);
    });
  }

 private:
  std::shared_ptr<SharedMachine> machine_;
  int64_t timeout_ms_;
};

// What solve and build share: the request, the result.
class Solving : public Reporting {
 public:
  Solving(std::shared_ptr<Request> request, py::object on_status, int64_t timeout_ms)
      : Reporting(std::move(on_status), timeout_ms), request_(std::move(request)) {
    request_->report_to(&callbacks);
  }
  void drop_python() override {
    Reporting::drop_python();
    request_->drop_python();
  }
  py::object take() override {
    const depot_result* result = out_.get();
    py::dict response, out;
    for (size_t i = 0; i < depot_result_count(result); ++i)
      response[text(depot_result_key(result, i))] = text(depot_result_value(result, i));
    out["digest"] = text(depot_result_digest(result));
    out["config_digest"] = text(depot_result_config_digest(result));
    out["descriptor_json"] = text(depot_result_descriptor(result));
    out["image_name"] = text(depot_result_image_name(result));
    out["ref"] = text(depot_result_ref(result));
    out["build_id"] = text(depot_result_build_id(result));
    out["build_url"] = text(depot_result_build_url(result));
    out["exporter_response"] = response;
    out["call"] = call_answer(result);
    py::list sent;
    for (size_t i = 0; i < depot_result_sent_count(result); ++i)
      sent.append(py::make_tuple(text(depot_result_sent_local(result, i)),
                                 py::reinterpret_steal<py::object>(
                                     PyUnicode_DecodeFSDefault(depot_result_sent_path(result, i))),
                                 depot_result_sent_size(result, i),
                                 depot_result_sent_transferred(result, i) != 0));
    out["sent_files"] = sent;
    py::list attestations;
    for (size_t i = 0; i < depot_result_attestation_count(result); ++i) {
      depot_attestation one{};
      one.size = sizeof one;
      depot_result_attestation(result, i, &one);
      attestations.append(
          py::make_tuple(text(one.type), text(one.platform), text(one.digest), one.bytes));
    }
    out["attestations"] = attestations;
    depot_stats stats{};
    stats.size = sizeof stats;
    depot_result_stats(result, &stats);
    out["stats"] =
        py::make_tuple(stats.acquire_ns, stats.connect_ns, stats.solve_ns, stats.context_ns,
                       stats.export_ns, stats.push_ns, stats.steps, stats.cached_steps,
                       stats.completed_steps, stats.context_entries, stats.context_files,
                       stats.context_bytes, stats.sent_bytes, stats.export_bytes);
    out["metadata_json"] = text(depot_result_metadata_json(result));
    return out;
  }

 protected:
  std::shared_ptr<Request> request_;
  ResultHandle out_;
};

class Solve : public Solving {
 public:
  Solve(std::shared_ptr<SharedMachine> machine, std::shared_ptr<Request> request,
        py::object on_status, int64_t timeout_ms)
      : Solving(std::move(request), std::move(on_status), timeout_ms),
        machine_(std::move(machine)) {}
  depot_code run(depot_cancel* cancel, depot_error** error) override {
    // Connects too when that was not done, on the same clock.
    auto with = options(cancel);
    return depot_solve(machine_->handle.get(), request_->get(), &with, out_.out(), error);
  }

 private:
  std::shared_ptr<SharedMachine> machine_;
};

class WholeBuild : public Solving {
 public:
  WholeBuild(std::shared_ptr<ClientHandle> client, BuildArguments arguments, std::string platform,
             std::shared_ptr<Request> request, py::object on_status, int64_t timeout_ms)
      : Solving(std::move(request), std::move(on_status), timeout_ms),
        client_(std::move(client)),
        arguments_(std::move(arguments)),
        platform_(std::move(platform)) {}
  depot_code run(depot_cancel* cancel, depot_error** error) override {
    auto build_options = arguments_.get(cancel, 0);
    auto solve_options = options(cancel);
    return depot_client_build(client_->get(), &build_options,
                              platform_.empty() ? nullptr : platform_.c_str(), request_->get(),
                              &solve_options, out_.out(), error);
  }

 private:
  std::shared_ptr<ClientHandle> client_;
  BuildArguments arguments_;
  std::string platform_;
};

std::unique_ptr<Call> make_call(std::unique_ptr<Operation> operation,
                                const CancelArgument& cancel = nullptr) {
  return std::make_unique<Call>(std::move(operation), cancel);
}

}  // namespace

std::unique_ptr<Call> new_build(const Client& client, const Options& options,
                                std::vector<std::string> tags, bool save,
                                std::vector<std::string> save_tags, int64_t timeout_ms,
                                const CancelArgument& cancel) {
  BuildArguments arguments(options, std::move(tags), save, std::move(save_tags));
  return make_call(std::make_unique<NewBuild>(client.get(), std::move(arguments), timeout_ms),
                   cancel);
}

std::unique_ptr<Call> finish(const Build& build, int32_t outcome, const std::string& message) {
  return make_call(std::make_unique<Finish>(build.get(), outcome, c_string(message)));
}

std::unique_ptr<Call> acquire(const Build& build, const std::string& platform, int64_t timeout_ms,
                              const CancelArgument& cancel) {
  return make_call(std::make_unique<Acquire>(build.get(), c_string(platform), timeout_ms), cancel);
}

std::unique_ptr<Call> connect(const Machine& machine, int64_t timeout_ms,
                              const CancelArgument& cancel) {
  return make_call(std::make_unique<Connect>(machine.get(), timeout_ms), cancel);
}

std::unique_ptr<Call> solve(const Machine& machine, std::shared_ptr<Request> request,
                            py::object on_status, int64_t timeout_ms,
                            const CancelArgument& cancel) {
  return make_call(
      std::make_unique<Solve>(machine.get(), std::move(request), std::move(on_status), timeout_ms),
      cancel);
}

std::unique_ptr<Call> build(const Client& client, const Options& options,
                            std::vector<std::string> tags, const std::string& platform,
                            std::shared_ptr<Request> request, py::object on_status,
                            int64_t timeout_ms, const CancelArgument& cancel) {
  BuildArguments arguments(options, std::move(tags));
  return make_call(
      std::make_unique<WholeBuild>(client.get(), std::move(arguments), c_string(platform),
                                   std::move(request), std::move(on_status), timeout_ms),
      cancel);
}

}  // namespace depot::python

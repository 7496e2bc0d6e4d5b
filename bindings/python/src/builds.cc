#include "builds.h"

#include <pybind11/stl.h>

#include "operations.h"
#include "reporting.h"

namespace depot::python {

namespace {

using BuildsHandle = Handle<depot_builds, depot_builds_free>;
using PullHandle = Handle<depot_pull_info, depot_pull_info_free>;

// What all have: the client, and depot_builds_options with the strings that it points at.
class AskingApi : public Operation {
 public:
  AskingApi(const Client& client, const Options& options, int32_t limit, int64_t timeout_ms)
      : client_(client.get()), texts_(options), limit_(limit), timeout_ms_(timeout_ms) {}

 protected:
  depot_builds_options options(depot_cancel* cancel) const {
    depot_builds_options out = DEPOT_BUILDS_OPTIONS_INIT;
    out.project = texts_["project"];
    out.token = texts_["token"];
    out.context_dir = texts_["context_dir"];
    out.limit = limit_;
    out.cancel = cancel;
    out.timeout_ms = timeout_ms_;
    return out;
  }
  const depot_client* client() const { return client_->get(); }

 private:
  std::shared_ptr<ClientHandle> client_;
  Texts texts_;
  int32_t limit_;
  int64_t timeout_ms_;
};

class ListBuilds : public AskingApi {
 public:
  using AskingApi::AskingApi;
  depot_code run(depot_cancel* cancel, depot_error** error) override {
    auto with = options(cancel);
    return depot_client_list_builds(client(), &with, out_.out(), error);
  }
  py::object take() override {
    py::list out;
    for (size_t i = 0; i < depot_builds_count(out_.get()); ++i) {
      depot_listed_build build{};
      build.size = sizeof build;
      if (depot_builds_get(out_.get(), i, &build) == 1)
        out.append(py::make_tuple(text(build.id), build.state, build.created, build.finished));
    }
    return out;
  }

 private:
  BuildsHandle out_;
};

class PullInfo : public AskingApi {
 public:
  // Without a build: what the project's token can pull.
  PullInfo(const Client& client, std::string build_id, const Options& options, int64_t timeout_ms)
      : AskingApi(client, options, 0, timeout_ms), build_id_(std::move(build_id)) {
    c_string(build_id_);
  }
  depot_code run(depot_cancel* cancel, depot_error** error) override {
    auto with = options(cancel);
    return build_id_.empty()
               ? depot_client_pull_token(client(), &with, out_.out(), error)
               : depot_client_pull_info(client(), build_id_.c_str(), &with, out_.out(), error);
  }
  py::object take() override {
    const depot_pull_info* pull = out_.get();
    py::list targets;
    for (size_t i = 0; i < depot_pull_info_target_count(pull); ++i) {
      depot_pull_target target{};
      target.size = sizeof target;
      if (depot_pull_info_target(pull, i, &target) != 1) continue;
      py::tuple tags(target.tag_count);
      for (size_t t = 0; t < target.tag_count; ++t) tags[t] = text(target.tags[t]);
      targets.append(py::make_tuple(text(target.name), tags));
    }
    return py::make_tuple(text(depot_pull_info_reference(pull)),
                          text(depot_pull_info_username(pull)),
                          text(depot_pull_info_password(pull)), targets);
  }

 private:
  std::string build_id_;
  PullHandle out_;
};

class Pull : public Reporting {
 public:
  Pull(const Client& client, std::string what, const Options& options,
       std::vector<std::string> tags, std::vector<std::string> targets, py::object on_status,
       int64_t timeout_ms)
      : Reporting(std::move(on_status), timeout_ms),
        client_(client.get()),
        what_(std::move(what)),
        texts_(options),
        tags_(std::move(tags)),
        targets_(std::move(targets)) {
    c_string(what_);
  }
  depot_code run(depot_cancel* cancel, depot_error** error) override {
    depot_pull_options pull = DEPOT_PULL_OPTIONS_INIT;
    pull.token = texts_["token"];
    pull.tags = tags_.get();
    pull.targets = targets_.get();
    pull.platform = texts_["platform"];
    pull.into = texts_["into"];
    auto with = options(cancel);
    return depot_client_pull(client_->get(), what_.c_str(), &pull, &with, error);
  }

 private:
  std::shared_ptr<ClientHandle> client_;
  std::string what_;
  Texts texts_;
  TextList tags_, targets_;
};

}  // namespace

void define_builds(py::module_& m) {
  m.def("list_builds", [](const Client& client, const Options& options, int32_t limit,
                          int64_t timeout_ms, const CancelArgument& cancel) {
    return std::make_unique<Call>(std::make_unique<ListBuilds>(client, options, limit, timeout_ms),
                                  cancel);
  });
  m.def("pull_info", [](const Client& client, std::string build_id, const Options& options,
                        int64_t timeout_ms, const CancelArgument& cancel) {
    return std::make_unique<Call>(
        std::make_unique<PullInfo>(client, std::move(build_id), options, timeout_ms), cancel);
  });
  m.def("pull", [](const Client& client, std::string what, const Options& options,
                   std::vector<std::string> tags, std::vector<std::string> targets,
                   py::object on_status, int64_t timeout_ms, const CancelArgument& cancel) {
    return std::make_unique<Call>(
        std::make_unique<Pull>(client, std::move(what), options, std::move(tags),
                               std::move(targets), std::move(on_status), timeout_ms),
        cancel);
  });
}

}  // namespace depot::python

#include "local.h"

#include <pybind11/stl.h>

#include <optional>

#include "operations.h"

namespace depot::python {

namespace {

using ProjectsHandle = Handle<depot_local_projects, depot_local_projects_free>;
using Project = std::optional<std::string>;  // none: all

class AboutLocal : public Operation {
 public:
  AboutLocal(const Client& client, Project project, bool force, int64_t timeout_ms)
      : client_(client.get()),
        project_(std::move(project)),
        force_(force),
        timeout_ms_(timeout_ms) {
    if (project_) c_string(*project_);
  }

 protected:
  depot_local_options options(depot_cancel* cancel) const {
    depot_local_options out = DEPOT_LOCAL_OPTIONS_INIT;
    out.project = project_ ? project_->c_str() : nullptr;
    out.force = force_ ? 1 : 0;
    out.cancel = cancel;
    out.timeout_ms = timeout_ms_;
    return out;
  }
  const depot_client* client() const { return client_->get(); }

 private:
  std::shared_ptr<ClientHandle> client_;
  Project project_;
  bool force_;
  int64_t timeout_ms_;
};

class Projects : public AboutLocal {
 public:
  using AboutLocal::AboutLocal;
  depot_code run(depot_cancel* cancel, depot_error** error) override {
    auto with = options(cancel);
    return depot_local_projects_new(client(), &with, out_.out(), error);
  }
  py::object take() override {
    py::list all;
    for (size_t i = 0; i < depot_local_projects_count(out_.get()); ++i) {
      depot_local_project p{};
      p.size = sizeof p;
      if (depot_local_projects_get(out_.get(), i, &p) != 1) continue;
      py::list machines;
      for (size_t j = 0; j < p.machine_count; ++j) {
        depot_local_machine m{};
        m.size = sizeof m;
        if (depot_local_projects_machine(out_.get(), i, j, &m) != 1) continue;
        machines.append(py::make_tuple(text(m.architecture), m.state, m.pid,
                                       text(m.buildkit_version), m.builds));
      }
      all.append(py::make_tuple(text(p.id), text(p.directory), machines, p.builds, p.last_used,
                                p.cache_bytes, p.cache_partial != 0));
    }
    return all;
  }

 private:
  ProjectsHandle out_;
};

// Stop and reset: what they give is a number.
using Ask = depot_code (*)(const depot_client*, const depot_local_options*, int64_t*,
                           depot_error**);
class Change : public AboutLocal {
 public:
  Change(Ask ask, const Client& client, Project project, bool force, int64_t timeout_ms)
      : AboutLocal(client, std::move(project), force, timeout_ms), ask_(ask) {}
  depot_code run(depot_cancel* cancel, depot_error** error) override {
    auto with = options(cancel);
    return ask_(client(), &with, &number_, error);
  }
  py::object take() override { return py::int_(number_); }

 private:
  Ask ask_;
  int64_t number_ = 0;
};

}  // namespace

void define_local(py::module_& m) {
  m.def("local_projects", [](const Client& client, Project project, int64_t timeout_ms,
                             const CancelArgument& cancel) {
    return std::make_unique<Call>(
        std::make_unique<Projects>(client, std::move(project), false, timeout_ms), cancel);
  });
  m.def("local_stop", [](const Client& client, Project project, bool force, int64_t timeout_ms,
                         const CancelArgument& cancel) {
    return std::make_unique<Call>(
        std::make_unique<Change>(depot_local_stop, client, std::move(project), force, timeout_ms),
        cancel);
  });
  m.def("local_reset", [](const Client& client, std::string project, bool force, int64_t timeout_ms,
                          const CancelArgument& cancel) {
    return std::make_unique<Call>(
        std::make_unique<Change>(depot_local_reset, client, std::move(project), force, timeout_ms),
        cancel);
  });
}

}  // namespace depot::python

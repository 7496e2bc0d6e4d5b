// libdepot._core: the C API for the Python in this distribution, and for nobody else.
#include <pybind11/stl.h>

#include "books.h"
#include "builds.h"
#include "error.h"
#include "local.h"
#include "operations.h"
#include "progress.h"

namespace depot::python {

namespace {

void define_calls(py::module_& m) {
  py::class_<Cancel, std::shared_ptr<Cancel>>(m, "Cancel")
      .def(py::init<>())
      .def("trigger", &Cancel::trigger)
      .def_property_readonly("triggered", &Cancel::triggered);
  py::class_<Call>(m, "Call")
      .def("wait", &Call::wait)
      .def("start", &Call::start)
      .def("fileno", &Call::fileno)
      .def_property_readonly("done", &Call::done)
      .def("cancel", &Call::cancel)
      .def("result", &Call::result);
  m.def("live_calls", &live_calls);
}

void define_handles(py::module_& m) {
  py::class_<Client>(m, "Client")
      .def(py::init<const Options&, std::vector<std::string>, bool, bool, int64_t, py::object>())
      .def_property_readonly("builder", &Client::builder)
      .def("close", &Client::close);
  py::class_<Build>(m, "Build")
      .def_property_readonly(
          "id", [](const Build& b) { return text(depot_build_id(b.get()->handle.get())); })
      .def_property_readonly(
          "project",
          [](const Build& b) { return text(depot_build_project(b.get()->handle.get())); })
      .def_property_readonly(
          "url", [](const Build& b) { return text(depot_build_url(b.get()->handle.get())); })
      .def("close", &Build::close);
  py::class_<Machine>(m, "Machine")
      .def_property_readonly(
          "endpoint",
          [](const Machine& x) { return text(depot_machine_endpoint(x.get()->handle.get())); })
      .def_property_readonly(
          "platform",
          [](const Machine& x) { return text(depot_machine_platform(x.get()->handle.get())); })
      .def("release", &Machine::release)
      .def("close", &Machine::close);
}

}  // namespace

PYBIND11_MODULE(_core, m) {
  m.attr("version") = text(depot_version_string());
  m.def("code_name", [](int32_t code) { return text(depot_code_name(code)); });
  m.def("hop_name", [](int32_t hop) { return text(depot_hop_name(hop)); });
  define_calls(m);
  define_handles(m);
  define_request(m);
  define_progress(m);
  m.def("new_build", new_build);
  m.def("finish", finish);
  m.def("acquire", acquire);
  m.def("connect", connect);
  m.def("solve", solve);
  m.def("build", build);
  define_books(m);
  define_builds(m);
  define_local(m);
  py::module_::import("atexit").attr("register")(py::cpp_function(end_live_calls));
}

}  // namespace depot::python

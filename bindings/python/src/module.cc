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

// Any argument, once no overload has taken it as it is and all may convert.
struct Refused {
  py::handle given;
};

}  // namespace
}  // namespace depot::python

template <>
struct pybind11::detail::type_caster<depot::python::Refused> {
  PYBIND11_TYPE_CASTER(depot::python::Refused, const_name("object"));
  bool load(handle given, bool convert) {
    value.given = given;
    return convert;
  }
};

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

// pybind11 answers arguments of wrong types with a TypeError that shows all of them, and here they
// are passwords, tokens and keys. So each function has a last overload that takes whatever the
// others have refused, and tells the types alone.
void show_no_arguments(const py::object& scope) {
  bool in_class = py::isinstance<py::type>(scope);
  for (auto [key, value] : py::dict(scope.attr("__dict__"))) {
    auto name = key.cast<std::string>();
    if (py::isinstance<py::type>(value))
      show_no_arguments(py::reinterpret_borrow<py::object>(value));
    py::handle function = py::detail::get_function(value);
    if (!PyCFunction_Check(function.ptr()) || name.starts_with("_pybind11")) continue;
    auto refuse = [name](const Refused& first, const py::args& rest) {
      std::string types = first.given.is(py::ellipsis()) ? "" : Py_TYPE(first.given.ptr())->tp_name;
      for (py::handle each : rest) types += std::string(", ") + Py_TYPE(each.ptr())->tp_name;
      throw py::type_error(name + "() does not take (" + types + ")");
    };
    py::name called(name.c_str());
    py::sibling others(function);
    py::arg_v none("_", py::ellipsis(), "");
    if (name == "__init__") {
      py::cpp_function([refuse](py::detail::value_and_holder&, const Refused& first,
                                const py::args& rest, const py::kwargs&) { refuse(first, rest); },
                       called, py::is_method(scope), others, py::detail::is_new_style_constructor(),
                       none);
    } else if (in_class) {
      py::cpp_function([refuse](const py::object&, const Refused& first, const py::args& rest,
                                const py::kwargs&) { refuse(first, rest); },
                       called, py::is_method(scope), others, none);
    } else {
      py::cpp_function([refuse](const Refused& first, const py::args& rest,
                                const py::kwargs&) { refuse(first, rest); },
                       called, py::scope(scope), others, none);
    }
  }
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
  show_no_arguments(m);
  py::module_::import("atexit").attr("register")(py::cpp_function(end_live_calls));
}

}  // namespace depot::python

// The setters of depot/attributes.h, which are all of a few shapes.
#include "error.h"
#include "request.h"

namespace depot::python {

namespace {

template <auto Setter>
void text_setter(Request& request, const std::string& value) {
  check([&](depot_error** error) { return Setter(request.handle(), c_string(value), error); });
}

template <auto Setter>
void pair_setter(Request& request, const std::string& key, const std::string& value) {
  check([&](depot_error** error) {
    return Setter(request.handle(), c_string(key), c_string(value), error);
  });
}

template <auto Setter>
void switch_setter(Request& request, bool on) {
  check([&](depot_error** error) { return Setter(request.handle(), on, error); });
}

}  // namespace

void define_attributes(py::class_<Request, std::shared_ptr<Request>>& request) {
  request.def("set_build_arg", pair_setter<depot_solve_request_set_build_arg>)
      .def("set_label", pair_setter<depot_solve_request_set_label>)
      .def("set_target", text_setter<depot_solve_request_set_target>)
      .def("set_platform", text_setter<depot_solve_request_set_platform>)
      .def("set_no_cache", switch_setter<depot_solve_request_set_no_cache>)
      .def("add_no_cache_filter", text_setter<depot_solve_request_add_no_cache_filter>)
      .def("set_pull", switch_setter<depot_solve_request_set_pull>)
      .def("add_host", text_setter<depot_solve_request_add_host>)
      .def("set_network", text_setter<depot_solve_request_set_network>)
      .def("set_shm_size", text_setter<depot_solve_request_set_shm_size>)
      .def("add_ulimit", text_setter<depot_solve_request_add_ulimit>)
      .def("add_resource", text_setter<depot_solve_request_add_resource>)
      .def("set_cgroup_parent", text_setter<depot_solve_request_set_cgroup_parent>)
      .def("add_entitlement", text_setter<depot_solve_request_add_entitlement>)
      .def("set_annotation", pair_setter<depot_solve_request_set_annotation>)
      .def("add_attest", text_setter<depot_solve_request_add_attest>)
      .def("set_sbom", text_setter<depot_solve_request_set_sbom>)
      .def("set_provenance", text_setter<depot_solve_request_set_provenance>)
      .def("set_record_provenance", text_setter<depot_solve_request_set_record_provenance>)
      .def("set_call", text_setter<depot_solve_request_set_call>)
      .def("set_default_attestations", switch_setter<depot_solve_request_set_default_attestations>);
}

}  // namespace depot::python

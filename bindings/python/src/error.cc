#include "error.h"

#include <memory>

namespace depot::python {

namespace {

[[noreturn]] void raise_fields(const py::dict& fields) {
  py::object error = py::module_::import("libdepot._errors").attr("make")(fields);
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(error.ptr())), error.ptr());
  throw py::error_already_set();
}

py::bytes bytes(const uint8_t* data, size_t size) {
  return {reinterpret_cast<const char*>(data), size};
}

py::list sources(const depot_error* error) {
  py::list out;
  for (size_t i = 0; i < depot_error_source_count(error); ++i) {
    py::list ranges;
    for (size_t j = 0; j < depot_error_source_range_count(error, i); ++j) {
      depot_range range;
      if (depot_error_source_range(error, i, j, &range) != 1) continue;
      ranges.append(py::make_tuple(range.start_line, range.start_character, range.end_line,
                                   range.end_character));
    }
    size_t size = 0;
    const uint8_t* data = depot_error_source_data(error, i, &size);
    out.append(py::make_tuple(text(depot_error_source_file(error, i)), bytes(data, size), ranges,
                              text(depot_error_source_excerpt(error, i))));
  }
  return out;
}

py::list details(const depot_error* error) {
  py::list out;
  for (size_t i = 0; i < depot_error_detail_count(error); ++i) {
    size_t size = 0;
    const uint8_t* data = depot_error_detail_bytes(error, i, &size);
    out.append(py::make_tuple(text(depot_error_detail_type(error, i)), bytes(data, size)));
  }
  return out;
}

}  // namespace

void raise(depot_error* error) {
  std::unique_ptr<depot_error, void (*)(depot_error*)> owned(error, depot_error_free);
  py::dict fields;
  fields["code"] = depot_error_code(error);
  fields["hop"] = depot_error_hop(error);
  fields["message"] = text(depot_error_message(error));
  fields["hint"] = text(depot_error_hint(error));
  fields["retryable"] = depot_error_retryable(error) != 0;
  fields["vertex"] = text(depot_error_vertex_digest(error));
  fields["vertex_name"] = text(depot_error_vertex_name(error));
  fields["exit_code"] = depot_error_exit_code(error);
  fields["log_tail"] = text(depot_error_log_tail(error));
  fields["user_code"] = depot_error_user_code(error);
  fields["text"] = text(depot_error_text(error));
  fields["sources"] = sources(error);
  fields["details"] = details(error);
  raise_fields(fields);
}

void raise(depot_code code, depot_hop hop, const std::string& message, const std::string& hint) {
  py::dict fields;
  fields["code"] = code;
  fields["hop"] = hop;
  fields["message"] = message;
  fields["hint"] = hint;
  raise_fields(fields);
}

}  // namespace depot::python

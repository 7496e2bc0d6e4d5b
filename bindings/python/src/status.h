// A status batch as a libdepot.Status.
#pragma once

#include "process.h"

namespace depot::python {

py::object make_status(const depot_status* status);
py::object make_vertex_status(const depot_vertex_status& status);
py::object make_warning(const depot_vertex_warning& warning);
// None for 0.
py::object make_time(int64_t nanoseconds);

}  // namespace depot::python

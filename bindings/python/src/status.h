// A status batch as a libdepot.Status.
#pragma once

#include "process.h"

namespace depot::python {

py::object make_status(const depot_status* status);

}  // namespace depot::python

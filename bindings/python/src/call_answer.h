// A call's answer to what libdepot._call makes a Call of.
#pragma once

#include "process.h"

namespace depot::python {

// None for a build.
py::object call_answer(const depot_result* result);

}  // namespace depot::python

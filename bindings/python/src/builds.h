// The API's list of builds, and logins to pull what they saved, each as a Call.
#pragma once

#include "handles.h"

namespace depot::python {

void define_builds(py::module_& module);

}  // namespace depot::python

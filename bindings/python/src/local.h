// The local builder's books, each as a Call.
#pragma once

#include "handles.h"

namespace depot::python {

void define_local(py::module_& module);

}  // namespace depot::python

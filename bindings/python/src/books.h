// The builder's books: workers, disk usage, prune and history, each as a Call.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "handles.h"
#include "operations.h"

namespace depot::python {

void define_books(py::module_& module);

}  // namespace depot::python

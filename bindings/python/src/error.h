// depot_error to libdepot.Error and its subclasses.
#pragma once

#include <string>

#include "process.h"

namespace depot::python {

// Frees `error` and raises what it says (libdepot._errors.make chooses the class).
[[noreturn]] void raise(depot_error* error);
// An error of the binding's own.
[[noreturn]] void raise(depot_code code, depot_hop hop, const std::string& message,
                        const std::string& hint);

// Runs `call(&error)` and raises when it fails.
template <class F>
void check(F call) {
  depot_error* error = nullptr;
  if (call(&error) != DEPOT_OK) raise(error);
}

}  // namespace depot::python

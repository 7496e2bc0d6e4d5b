// The one place where a Status or an exception becomes a depot_error.
#pragma once

#include <exception>
#include <new>
#include <string>
#include <utility>

#include "base/status.h"
#include "depot/depot.h"

namespace depot::capi {

// Sets *error when it can and returns the code.
depot_code export_status(const base::Status& status, depot_error** error) noexcept;

// Runs `body`, which returns a base::Status; nothing escapes into C.
template <class F>
depot_code guard(depot_error** error, F&& body) noexcept {
  try {
    return export_status(std::forward<F>(body)(), error);
  } catch (const std::bad_alloc&) {
    try {
      return export_status(
          base::Status(base::Code::kResourceExhausted, base::Hop::kLocal, "out of memory"), error);
    } catch (...) {
      return DEPOT_RESOURCE_EXHAUSTED;
    }
  } catch (const std::exception& e) {
    try {
      return export_status(base::internal_error(std::string("unexpected: ") + e.what()), error);
    } catch (...) {
      return DEPOT_INTERNAL;
    }
  } catch (...) {
    try {
      return export_status(base::internal_error("unexpected exception"), error);
    } catch (...) {
      return DEPOT_INTERNAL;
    }
  }
}

// NULL and "" both mean "not given" in option structs.
inline std::string text_or_empty(const char* text) {
  return text == nullptr ? std::string() : text;
}

inline base::Status null_argument(const char* name) {
  return base::usage_error(std::string("argument '") + name + "' is NULL");
}

}  // namespace depot::capi

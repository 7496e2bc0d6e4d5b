// What every setter of a request begins with.
#pragma once

#include <initializer_list>

#include "guard.h"
#include "handles.h"

namespace depot::capi {

// Runs `body(request)` when `request` and all of `texts` are there.
template <class F>
depot_code edit(depot_solve_request* request, std::initializer_list<const char*> texts,
                depot_error** error, F body) {
  return guard(error, [&]() -> base::Status {
    if (request == nullptr) return null_argument("request");
    for (const char* text : texts)
      if (text == nullptr) return base::usage_error("a string argument is NULL");
    return body(request->request);
  });
}

}  // namespace depot::capi

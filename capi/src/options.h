// Reading option structs of any version: the caller's size decides how much is read.
#pragma once

#include <algorithm>
#include <cstddef>
#include <cstring>
#include <string>

#include "base/status.h"

namespace depot::capi {

// Copies `given` (NULL: all zero) into `out`. Refuses a size below version 1, and a longer struct
// whose tail we do not know unless that tail is zero: a newer caller who asks for something that
// this library cannot do must hear of it.
template <class Options>
base::Status read_options(const Options* given, size_t size_v1, const char* name, Options& out) {
  std::memset(static_cast<void*>(&out), 0, sizeof(out));
  out.size = sizeof(out);
  if (given == nullptr) return {};
  size_t size = given->size;
  if (size < size_v1 || size > 4096) {
    return base::usage_error(std::string(name) + ".size is " + std::to_string(size) +
                             "; set it by " + name + "_init or the _INIT macro");
  }
  const auto* bytes = reinterpret_cast<const unsigned char*>(given);
  for (size_t i = sizeof(out); i < size; ++i) {
    if (bytes[i] != 0)
      return base::usage_error(std::string(name) +
                               " is of a newer libdepot and sets a field unknown here");
  }
  std::memcpy(static_cast<void*>(&out), given, std::min(size, sizeof(out)));
  out.size = sizeof(out);
  return {};
}

template <class Options>
void init_options(Options* options, size_t size) {
  if (options == nullptr || size < sizeof(size_t)) return;
  std::memset(static_cast<void*>(options), 0, size);
  options->size = size;
}

}  // namespace depot::capi

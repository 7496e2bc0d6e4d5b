// gzip of whole messages, with a bound on what comes out.
#pragma once

#include <cstddef>
#include <string>
#include <string_view>

#include "base/status.h"

namespace depot::http2 {

// Any number of gzip members, one after the other. kInvalidArgument: not gzip, damaged, or cut off;
// kResourceExhausted: more than `max_bytes` came out, found before they are stored.
base::Result<std::string> gunzip(std::string_view bytes, size_t max_bytes);

std::string gzip(std::string_view bytes);

}  // namespace depot::http2

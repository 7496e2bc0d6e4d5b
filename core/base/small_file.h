// Reads configuration, certificates, keys and tokens.
#pragma once

#include <cstddef>
#include <string>

#include "base/secret.h"
#include "base/status.h"

namespace depot::base {

// A regular file of at most `limit` bytes, whole, in memory that is wiped: half of what is read so
// is secret. Does not wait for a FIFO that somebody left there. Errors name the path; kNotFound if
// there is none.
Result<Secret> read_small_file(const std::string& path, size_t limit);

}  // namespace depot::base

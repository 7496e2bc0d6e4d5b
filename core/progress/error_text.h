// An error as a person wants to read it: message, the Dockerfile's lines, the log's end, the hint.
#pragma once

#include <string>

#include "base/error.h"

namespace depot::progress {

// Several lines, no newline at the end, no colours.
std::string error_text(const base::Error& error);
// The excerpt of one place, as buildx prints it; empty when it points nowhere. Ends with a newline.
std::string source_excerpt(const base::SourceLocation& location);

}  // namespace depot::progress

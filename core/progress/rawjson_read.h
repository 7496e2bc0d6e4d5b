// The reverse of rawjson.h: a line of `--progress=rawjson` (buildctl's, buildx's, ours) as the
// batch that it was made from.
#pragma once

#include <string_view>

#include "base/status.h"

namespace moby::buildkit::v1 {
class StatusResponse;
}

namespace depot::progress {

// kInvalidArgument when it is not an object as those programs write them. What is unknown in it is
// ignored.
base::Status read_rawjson(std::string_view line, ::moby::buildkit::v1::StatusResponse& out);

}  // namespace depot::progress

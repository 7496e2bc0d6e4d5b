// A status batch as JSON, byte for byte what `buildctl --progress=rawjson` prints: Go's
// encoding/json rules (protocol.md 9.2), which no JSON library of C++ follows.
#pragma once

#include <string>

namespace moby::buildkit::v1 {
class StatusResponse;
}

namespace depot::progress {

// One object, no newline.
std::string rawjson(const ::moby::buildkit::v1::StatusResponse& status);

}  // namespace depot::progress

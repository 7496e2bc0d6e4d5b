// A build whose platforms are divided among several builders, as docker buildx divides it: each
// solves a part and pushes its images by digest alone; what they are called is one index of all the
// parts, made here when they are there.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"
#include "solve/request.h"

namespace depot::solve {

// What cannot be divided is refused, with what to do instead: exports of all platforms into one
// file, contexts that can be read once. Of a request that was prepared whole.
base::Status check_divisible(const Request& ready);

// The part for these platforms of a build that was asked for by `request`, which is `ready` when it
// is prepared whole: an index even of one platform, and pushes by digest.
Request part_of(const Request& request, const Request& ready,
                const std::vector<std::string>& platforms);

// What is pushed when the parts are there.
struct JoinedImage {
  std::vector<std::string> names;            // with tags, canonical
  std::map<std::string, std::string> attrs;  // of its export: annotations
  bool by_digest = false;                    // and so under no tag
  bool insecure = false;                     // its registry is spoken to in plain HTTP
};
// Of a request that was prepared whole. nullopt: nothing is pushed.
base::Result<std::optional<JoinedImage>> joined_image(const Request& ready);

}  // namespace depot::solve

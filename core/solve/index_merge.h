// One index of what several builders pushed, byte for byte as docker buildx (imagetools) makes it:
// the manifests of indexes are taken out of them, each digest is listed once, where it is first
// seen, with the platform and the annotations of all its mentions; a single source without
// annotations stays as it is.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/status.h"

namespace depot::solve {

struct MergeSource {
  std::string descriptor;  // JSON, as an exporter response has it
  std::string bytes;       // the index or manifest that it is of
  std::string config;      // of a manifest whose descriptor has no platform: its image config
};

struct MergedIndex {
  std::string media_type, digest, bytes;
  std::string descriptor;  // JSON: media type, digest, size
};

// What a descriptor says of where its object is.
struct Pointer {
  std::string media_type, digest;
  int64_t size = 0;
};
base::Result<Pointer> read_descriptor(const std::string& descriptor);
// The config that merge_indexes() needs of this source; nullopt: none.
base::Result<std::optional<Pointer>> config_of(const MergeSource& source);

// `attrs` are those of the image export: of its annotations, those of an index and of the
// descriptors of manifests count. kDataLoss for what makes no sense as one of OCI's documents.
base::Result<MergedIndex> merge_indexes(const std::vector<MergeSource>& sources,
                                        const std::map<std::string, std::string>& attrs);

}  // namespace depot::solve

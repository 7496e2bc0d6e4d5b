// What a build said of its making: its attestations in the builder's history, and the provenance as
// docker buildx writes it to --metadata-file.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "builder/history.h"

namespace depot::builder {

enum class ProvenanceDetail { kMin, kMax };

struct BuildAttestations {
  std::vector<Blob> all;
  // Platform -> JSON of a SLSA 0.2 predicate; "" for a build of one platform that does not name it.
  std::map<std::string, std::string> provenance;
};

base::Result<BuildAttestations> read_attestations(buildkit::Channel& channel,
                                                  const std::vector<buildkit::Worker>& workers,
                                                  const std::string& ref, ProvenanceDetail detail,
                                                  const Ask& how);

// The predicate as SLSA 0.2 has it, whichever of the two it is. kMin leaves out the steps and the
// metadata, as docker buildx does.
base::Result<std::string> provenance_json(const std::string& predicate,
                                          const std::string& predicate_type,
                                          ProvenanceDetail detail);

}  // namespace depot::builder

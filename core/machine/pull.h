// A saved image out of Depot's registry into a Docker Engine here, as `depot pull` does it.
#pragma once

#include <string>
#include <vector>

#include "machine/builds.h"
#include "machine/machine.h"

namespace depot::machine {

struct PullOptions {
  BuildsOptions api;              // its cancel and timeout are those of it all; timeout 0: an hour
  std::vector<std::string> tags;  // names that the image gets; none: those that it was built under
  std::vector<std::string> targets;  // of a bake; none: all
  std::string platform;              // "linux/arm64"; "": the Engine's own
  std::string into;                  // "docker", "docker://..."; "": docker
  solve::OnStatus on_status;         // a step with the layers; non-zero ends it
};

// Where an image is pulled from, and what it is called then.
struct Pulled {
  std::string reference;
  std::vector<std::string> tags;  // canonical
};

// `what`: a build's id, "PROJECT:TAG" or "registry.depot.dev/PROJECT:TAG". Blocks.
base::Result<std::vector<Pulled>> pull(const Client& client, const std::string& what,
                                       const PullOptions& options);

}  // namespace depot::machine

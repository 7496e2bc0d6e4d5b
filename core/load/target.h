// Which image store an image is loaded into, as the attribute "into" of an export says it.
//
//   docker                          the Docker Engine that the docker client would use; the default
//   docker://unix:///SOCKET, ...    a certain Engine, as an address of a builder names it
//   podman                          `podman load`
//   nerdctl[:NAMESPACE]             `nerdctl load`
//   ctr[:NAMESPACE]                 `ctr images import -`, containerd's own client
#pragma once

#include <string>
#include <vector>

#include "base/environment.h"
#include "base/status.h"

namespace depot::load {

struct Target {
  std::string engine;                // address of a Docker Engine; or
  std::vector<std::string> command;  // of a program that reads an archive, found in PATH
  std::string name;                  // "docker", "podman": for people
  bool named = false;                // somebody chose it
};

// `into` as above, "" for the default. `context` is one of docker's, "" for none; it goes with
// docker alone. Usage errors for what is malformed. Blocks on docker's config file.
base::Result<Target> parse_target(const std::string& into, const std::string& context,
                                  const base::Environment& environment);

}  // namespace depot::load

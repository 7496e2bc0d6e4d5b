// Which of several builders builds which platform, as docker buildx chooses.
#pragma once

#include <cstddef>
#include <optional>
#include <string>
#include <vector>

#include "base/environment.h"
#include "base/status.h"

namespace depot::machine {

struct Node {
  std::string name;                    // an address; of the API's machines "amd64" or "arm64"
  std::vector<std::string> platforms;  // canonical; empty: what its workers tell
};

// "tcp://host:port,platform=linux/arm64,linux/arm/v7": an address, and what it is to build.
base::Result<Node> parse_node(const std::string& spec, const base::Environment& environment);

// The two machines of a build at the API: this computer's kind first, and each with the platforms
// that it runs by itself.
std::vector<Node> api_nodes();

struct Share {
  size_t node;
  std::vector<std::string> platforms;  // canonical, in the order they were asked for
};

// Of each node that gets any. nullopt: one of `platforms` is in no node's list.
std::optional<std::vector<Share>> assign(const std::vector<Node>& nodes,
                                         const std::vector<std::string>& platforms);
// The same when the nodes' lists have what their workers told, too: a node also builds what its
// platforms run as well (amd64 and 386), and what is left goes to the first.
std::vector<Share> assign_somehow(const std::vector<Node>& nodes,
                                  const std::vector<std::string>& platforms);

}  // namespace depot::machine

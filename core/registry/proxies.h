// The proxies of docker's config.json, which docker's clients give to every build as arguments.
#pragma once

#include <map>
#include <string>

#include "base/environment.h"
#include "base/status.h"

namespace depot::registry {

// HTTP_PROXY and so on -> value: those for the engine that DOCKER_HOST names, else the default
// ones. Empty when the file says nothing of proxies or is not there. Blocks on the file.
base::Result<std::map<std::string, std::string>> docker_proxies(
    const base::Environment& environment, const std::string& home);

}  // namespace depot::registry

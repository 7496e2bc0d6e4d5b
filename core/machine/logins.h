// Who may have which registry's password in a build: what its request, the API and docker's config
// say. Private to the module.
#pragma once

#include <memory>

#include "base/environment.h"
#include "base/status.h"
#include "machine/build.h"
#include "machine/client.h"
#include "registry/auth.h"
#include "solve/events.h"
#include "solve/request.h"

namespace depot::machine {

// As BuildKit's image exporter reads it.
bool pushes(const solve::Export& one);

// The environment in which docker's config is looked for.
base::Environment docker_environment(const Client& client, const solve::Request& request);

// The caller's functions are called on the thread that pops `queue`. `request` has been through
// prepare().
base::Result<std::shared_ptr<registry::Auth>> make_auth(
    const Build& build, const solve::Request& request,
    const std::shared_ptr<solve::EventQueue>& queue);

}  // namespace depot::machine

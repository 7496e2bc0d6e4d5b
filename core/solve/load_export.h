// An export of type docker that goes into an image store here: `--load`.
#pragma once

#include <string>

#include "base/environment.h"
#include "base/status.h"
#include "load/loader.h"
#include "solve/events.h"
#include "solve/request.h"

namespace depot::solve {

// Part of prepare(): a docker export that goes nowhere else goes into a store; takes "into" and
// "context".
base::Status prepare_load(Export& target, const base::Environment& environment);

bool loads(const Request& ready);

// Asks the stores of `ready` (a prepared request) whether they are there and what they take, and
// has the builder make what they take. `builder`: the address of the Docker Engine that builds, ""
// for any other: an image for that one needs no way to it. Blocks.
base::Status find_stores(Request& ready, const std::string& builder, const load::Options& options,
                         const Waiting& waiting);

// The loader of an export, whose progress is a step of its own.
std::shared_ptr<load::Loader> make_loader(const Export& target, load::Options options,
                                          const std::shared_ptr<EventQueue>& queue);

}  // namespace depot::solve

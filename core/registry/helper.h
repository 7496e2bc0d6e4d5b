// Docker's credential helpers: programs named docker-credential-<suffix>.
//
// `docker-credential-<suffix> get` gets a config key (config_key()) on stdin and prints
// {"ServerURL", "Username", "Secret"}, or fails with "credentials not found in native keychain".
#pragma once

#include <chrono>
#include <string>
#include <string_view>

#include "base/cancel.h"
#include "base/environment.h"
#include "base/status.h"
#include "registry/credentials.h"

namespace depot::registry {

// What a helper's suffix may be made of: [a-zA-Z0-9_.-]+, 64 characters at most.
bool valid_suffix(std::string_view suffix);

// Blocks (process.h). Empty credentials: the helper has none for this key. All errors are
// Hop::kHelper, name the helper and the key, and carry what it said (one line, bounded, without the
// secret if it printed one): kNotFound (no such program), kFailedPrecondition (it failed),
// kDataLoss (its answer makes no sense), and those of run_process.
base::Result<Credentials> run_helper(const std::string& suffix, const std::string& key,
                                     const base::Environment& environment,
                                     const base::Cancel& cancel, std::chrono::milliseconds timeout);

}  // namespace depot::registry

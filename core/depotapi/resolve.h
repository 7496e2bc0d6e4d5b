// Which token, project and API address: the order of protocol.md 14.4.
#pragma once

#include <memory>
#include <string>

#include "base/cancel.h"
#include "base/environment.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/status.h"
#include "depotapi/build_api.h"
#include "http/client.h"

namespace depot::depotapi {

struct ResolveOptions {
  std::string token;        // explicit; wins
  std::string project;      // explicit; wins
  std::string context_dir;  // where the search for depot.json, depot.yml starts; empty: the cwd
  base::Environment environment;
  std::shared_ptr<http::Client> http;  // for OIDC; null: those that need a request are passed over
  base::LogSink log;
};

// True if a token can be had without a network request being made now: explicit, DEPOT_TOKEN, the
// stored login, DEPOT_JIT_TOKEN, DEPOT_CACHE_TOKEN, or the marks of an OIDC provider. Chooses the
// builder in "auto".
bool has_token(const std::string& explicit_token, const base::Environment& environment);

// Blocks for as long as an OIDC provider takes. kUnauthenticated, Hop::kApi, when there is none:
// the message lists what was looked at, the hint how to get one. A provider that fails is passed
// over (and named in the message). The provider for pull requests from forks works by a line in the
// job's log: "Waiting for OIDC auth challenge ..." goes to the log sink as a warning, once a
// second, and has to reach the job's output from there.
base::Result<base::Secret> resolve_token(const ResolveOptions& options, const CallOptions& call);

// Empty when none is named anywhere: the token may imply one. Reads files, no network.
base::Result<std::string> resolve_project(const ResolveOptions& options);

// The explicit value, DEPOT_API_URL, else "https://api.depot.dev". Checks the scheme (http, https);
// kInvalidArgument otherwise.
base::Result<std::string> resolve_api_url(const std::string& explicit_url,
                                          const base::Environment& environment);

// The five-part user agent of Depot's clients, "libdepot/<version>/<os>/<arch>/<terminal|ci>" with
// Go's names of systems, and after a blank the embedding program's own `product`, if it has one.
std::string user_agent(const std::string& product, const base::Environment& environment);

}  // namespace depot::depotapi

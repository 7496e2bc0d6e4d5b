// The API that knows a client's builds: Depot's, or the local builder's. Private to the module.
#pragma once

#include <chrono>
#include <memory>
#include <string>

#include "base/cancel.h"
#include "base/secret.h"
#include "base/status.h"
#include "depotapi/build_api.h"
#include "http/client.h"
#include "machine/client.h"

namespace depot::machine {

struct ApiOptions {
  std::string project, token, context_dir;  // "": the client's; where depot.json is looked for
  bool by_build_token = false;              // the token is that of a build
  base::Cancel cancel = base::Cancel::never();
  std::chrono::milliseconds timeout{30000};
};

struct ApiAccess {
  std::shared_ptr<http::Client> http;
  std::shared_ptr<depotapi::BuildApi> api;
  base::Secret token;
  std::string project;                // "": the token names it
  std::chrono::milliseconds left{0};  // of the timeout; a third of it at least
};

// Finds token and project, and starts the local builder if that is the choice. Not for a plain
// address, where there is none. Blocks.
base::Result<ApiAccess> open_api(const Client& client, const ApiOptions& options);

// "the local builder", "the builder at tcp://...": what has no registry, for people.
std::string name_of(const Client& client);

}  // namespace depot::machine

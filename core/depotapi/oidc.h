// Tokens from the identity providers of continuous-integration services (protocol.md 14.4). Private
// to the depotapi module.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "base/environment.h"
#include "base/log.h"
#include "base/secret.h"
#include "depotapi/build_api.h"
#include "http/client.h"

namespace depot::depotapi {

struct OidcContext {
  const base::Environment& environment;
  http::Client* http;  // null: providers that need a request are passed over
  const CallOptions& call;
  const base::LogSink& log;
};

// True if the marks of a provider are there.
bool has_oidc(const base::Environment& environment);

// The first provider that gives a token. What was tried in vain is added to `tried`, one line each.
// Returns nullopt when none did; a cancel or the deadline ends it as an error.
base::Result<std::optional<base::Secret>> oidc_token(const OidcContext& context,
                                                     std::vector<std::string>& tried);

// Pull requests from forks on GitHub, whose jobs get no identity of their own.
bool has_fork_oidc(const base::Environment& environment);
base::Result<base::Secret> fork_oidc_token(const OidcContext& context);

// One exchange, repeated a little where the failure may pass. A status of 400 or more is an error.
base::Result<http::Response> oidc_fetch(const OidcContext& context, const http::Request& request);
// A text of the JSON object `body`, which is wiped.
base::Result<base::Secret> json_secret(std::string&& body, const char* key);

inline constexpr const char* kOidcAudience = "https://depot.dev";

}  // namespace depot::depotapi

// Fetches one token from one token server: an OAuth 2 POST with the login, where the server does
// not take that a GET with Basic, and without a login a plain GET. Private to the module.
//
// Whether the server may be asked at all was decided before (realm.h). Redirects are not followed:
// they would take the login somewhere else.
#pragma once

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/clock.h"
#include "registry/auth.h"
#include "registry/credentials.h"
#include "registry/flights.h"
#include "registry/realm.h"
#include "registry/shared.h"

namespace depot::registry {

struct TokenPlan {
  std::string host;  // the registry, for errors
  Realm realm;
  std::string service;
  std::vector<std::string> scopes;
  Credentials credentials;  // without a registry token; empty: anonymous
  std::chrono::milliseconds retry_delay{1000};
  const base::Clock* clock = &base::Clock::real();
};

// Returns at once; needs Shared::need_client() before. `promise` is settled on the client's thread,
// or the triggering one. Errors are Hop::kRegistry, or Hop::kProxy when the proxy failed, and name
// the registry and the token server: kUnauthenticated (401), kPermissionDenied (403), kUnavailable
// (no connection, 429, 5xx after three retries), kDataLoss (an answer that makes no sense), ...
void start_token_fetch(std::shared_ptr<Shared> shared, TokenPlan plan, const base::Cancel& cancel,
                       std::shared_ptr<Promise<Token>> promise);

}  // namespace depot::registry

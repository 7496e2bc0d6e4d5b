// Which token server ("realm") may be asked for a registry's tokens, and get its password.
//
// The realm comes from the far side: the builder passes on what a registry, or somebody in between,
// answered. Sending a password there unseen is how other clients lose them. The rules:
//
//  1. The URL is http or https with a plain host (no user part, no fragment, no odd characters).
//  2. http only to a loopback address for a registry on loopback, or to a host listed in
//     plain_http_hosts for the same; without a password also to the registry's own host, if that is
//     private. Never unlisted to a link-local address: cloud metadata is served there.
//  3. A registry with a public name is never sent to a loopback, private or link-local address:
//     neither as a literal, nor by a name like "localhost" or "x.internal", nor by what the name
//     resolves to, unless the registry's own name resolves to such an address too. A link-local
//     address (cloud metadata) is only ever right for the registry at that very address.
//  4. A password goes to the realm if it is (a) the registry's own host, any port; (b) listed in
//     realm_names.cc for this registry (Docker Hub, GitLab, ...); (c) in the same registrable
//     domain: equal names after the last two labels, or the last three under country domains like
//     co.uk, and never under domains that rent out names to strangers (azurecr.io, amazonaws.com,
//     github.io, ...: there only (a) and (b) hold); or (d) what the caller's consent function says.
//
// Names are resolved here and again by the HTTP client, or by its proxy: rule 3 does not hold
// against a name server that changes its answer in between. A name that does not resolve here is
// passed, for a proxy may know better.
#pragma once

#include <cstdint>
#include <functional>
#include <set>
#include <string>
#include <string_view>
#include <vector>

#include "base/cancel.h"
#include "base/status.h"
#include "registry/address.h"

namespace depot::registry {

// host[:port], lower case, the host without brackets and final dot. Port 0: none.
struct HostPort {
  std::string host;
  uint16_t port = 0;
};
base::Result<HostPort> parse_host(std::string_view text);

struct Realm {
  bool tls = true;
  std::string authority;  // as in the URL: host[:port]
  HostPort at;
  std::string path;   // from the slash on, may be empty
  std::string query;  // without the "?"
};
// Names the registry in its error, and not the URL, whose query may hold anything.
base::Result<Realm> parse_realm(std::string_view url, std::string_view registry_host);

struct RealmRules {
  std::set<std::string, std::less<>> plain_http_hosts;
  std::function<bool(const std::string& host, const std::string& realm_host)> consent;
  // The reaches of all addresses of a name; empty when it does not resolve. Blocks.
  std::function<std::vector<Reach>(const std::string& host)> resolve;
};

// The system's resolver. Empty, too, when `cancel` is triggered first: nothing is to come of it
// then.
std::vector<Reach> resolve_reaches(const std::string& host, const base::Cancel& cancel);

// Blocks on the resolver and the consent function. Refusals are kPermissionDenied, Hop::kRegistry,
// and name both hosts and the rule.
base::Status check_realm(const std::string& registry_host, const Realm& realm, bool with_password,
                         const RealmRules& rules);

}  // namespace depot::registry

// Credentials of a registry, and the sources they come from.
//
// A source either knows a host or it does not; an error (a helper that crashed, a config that
// cannot be read) is never "does not know", so that a login never gets lost in silence.
#pragma once

#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <string_view>

#include "base/cancel.h"
#include "base/environment.h"
#include "base/secret.h"
#include "base/status.h"

namespace depot::registry {

struct Credentials {
  std::string username;  // empty for an identity token
  base::Secret secret;   // password or identity (OAuth refresh) token; empty: anonymous
  bool identity_token = false;
  base::Secret registry_token;  // a ready bearer token: no token server is asked
  bool empty() const { return secret.empty() && registry_token.empty(); }
};

class CredentialSource {
 public:
  virtual ~CredentialSource() = default;
  // Blocks; on a pool thread, also for several hosts at a time. nullopt: ask the next source.
  virtual base::Result<std::optional<Credentials>> find(const std::string& host,
                                                        const base::Cancel& cancel) = 0;
};

// "docker.io", "index.docker.io" and "registry-1.docker.io" are one registry, filed under
// "https://index.docker.io/v1/"; every other host is its own key.
std::string config_key(std::string_view host);

// A host (and port) as a registry or a daemon may name it: no scheme, path, white space or control
// characters, 300 bytes at most. It goes to helpers and into errors.
base::Status check_host(std::string_view host);

// base64("user:password"), as docker config files and the Depot API write it. `what` begins the
// error message, which never quotes the value.
base::Result<Credentials> credentials_from_base64(std::string_view text, std::string_view what);

// Exactly these hosts, nothing else.
class FixedCredentials : public CredentialSource {
 public:
  explicit FixedCredentials(const std::map<std::string, Credentials, std::less<>>& by_host);
  base::Result<std::optional<Credentials>> find(const std::string& host,
                                                const base::Cancel& cancel) override;

 private:
  std::map<std::string, Credentials, std::less<>> by_key_;
};

// DEPOT_PUSH_REGISTRY_USERNAME with DEPOT_PUSH_REGISTRY_PASSWORD, else DEPOT_PUSH_REGISTRY_AUTH
// (base64 "user:password"): one login for all of `hosts`. Null when none is set. The Depot CLI
// gives it to every host that is asked for, also one that a Dockerfile names in order to get it.
base::Result<std::shared_ptr<CredentialSource>> push_override(
    const base::Environment& environment, const std::set<std::string, std::less<>>& hosts);

}  // namespace depot::registry

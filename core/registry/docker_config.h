// Docker's config.json: logins in the file, and which helper program holds the others.
//
// Read from $DOCKER_CONFIG or ~/.docker, with DOCKER_AUTH_CONFIG before it. The file as a whole
// must be sound JSON of the right shape, or loading fails; a single broken login fails the look-ups
// that hit it and no others. A missing or empty file is an empty config. Immutable once loaded.
#pragma once

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "base/environment.h"
#include "base/secret.h"
#include "base/status.h"
#include "registry/credentials.h"

namespace depot::registry {

class DockerConfig {
 public:
  // What the file says about a host; helpers are not asked here.
  struct Login {
    std::string username;
    base::Secret password;
    base::Secret identity_token;  // wins over username and password
    base::Secret registry_token;
    Credentials credentials() const;
  };

  // Blocks on the file. Errors name the file (or the variable) and the reason.
  static base::Result<DockerConfig> load(const base::Environment& environment,
                                         const std::string& home);

  // $DOCKER_CONFIG or <home>/.docker; empty when neither is known.
  static std::string directory(const base::Environment& environment, const std::string& home);

  // All of these take a key as config_key() makes it.

  // DOCKER_AUTH_CONFIG: before helpers and file, by the exact key.
  std::optional<Credentials> from_environment(const std::string& key) const;
  // The helper's suffix for this key (credHelpers, else credsStore), or empty: the file alone.
  std::string helper(const std::string& key) const;
  // The file: the exact key, else one whose host part (scheme and path taken off, port kept)
  // equals.
  base::Result<Login> login(const std::string& key) const;

 private:
  struct Entry {
    Login login;
    base::Status problem;
  };
  base::Status load_file(const std::string& path);
  base::Status load_text(std::string_view text);
  base::Status load_environment(std::string_view text);

  std::string path_;
  std::map<std::string, Credentials> environment_;
  std::map<std::string, Entry> logins_;
  std::map<std::string, std::string> helpers_;
  std::string default_helper_;
};

// "https://host:5000/v1/" -> "host:5000".
std::string host_of_key(std::string_view key);

}  // namespace depot::registry

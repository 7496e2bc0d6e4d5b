// Where a host's credentials come from: the sources in their order, each asked once. Private to the
// module; caching and sharing are Auth's.
#pragma once

#include <chrono>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/environment.h"
#include "base/status.h"
#include "registry/auth.h"
#include "registry/credentials.h"
#include "registry/docker_config.h"

namespace depot::registry {

class Lookup {
 public:
  explicit Lookup(const AuthOptions& options);

  // Blocks on the sources, the config file and the helper. Empty credentials: nobody knows the
  // host. Any thread, also for several hosts at a time. Errors name the host or the file.
  base::Result<Credentials> find(const std::string& host, const base::Cancel& cancel);

 private:
  base::Result<Credentials> from_docker(const std::string& key, const base::Cancel& cancel);
  base::Result<std::shared_ptr<const DockerConfig>> config();

  const base::Environment environment_;
  const std::string home_;
  const bool docker_config_;
  const std::chrono::milliseconds helper_timeout_;
  base::Status problem_;  // of the variables; every look-up fails with it
  std::vector<std::shared_ptr<CredentialSource>> sources_;
  std::mutex mutex_;
  std::shared_ptr<const DockerConfig> config_;  // the first that loads
};

}  // namespace depot::registry

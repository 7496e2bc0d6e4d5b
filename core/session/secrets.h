// Build secrets: what a step mounts by an id, asked for when the step is about to run.
#pragma once

#include <cstddef>
#include <functional>
#include <memory>
#include <string>

#include "base/pool.h"
#include "base/secret.h"
#include "base/status.h"

namespace depot::session {

// BuildKit's own limit of one secret, in bytes.
constexpr size_t kMaxSecret = 500 << 10;

base::Status secret_too_large(const std::string& id);

// Where the bytes of one secret come from.
class SecretSource {
 public:
  using Done = std::function<void(base::Result<base::Secret>)>;

  virtual ~SecretSource() = default;
  // Loop thread, for every step that mounts it; must not block. `done` on any thread, at most once:
  // with kNotFound when there is no such secret after all.
  virtual void fetch(Done done) = 0;
};

std::shared_ptr<SecretSource> fixed_secret(std::shared_ptr<const base::Secret> value);
// Read on the pool, each time anew. Errors name the path.
std::shared_ptr<SecretSource> file_secret(std::string path, std::shared_ptr<base::Pool> pool);

}  // namespace depot::session

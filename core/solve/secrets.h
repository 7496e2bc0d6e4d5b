// The secrets of a request: what `--secret` says, and where each is read from. Private to the
// module but for SecretInput.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/environment.h"
#include "base/secret.h"
#include "base/status.h"

namespace depot::solve {

// A callback of the caller's: sets `out`, or leaves it when there is no such secret. Non-zero stops
// the solve.
using SecretReader =
    std::function<int32_t(const std::string& id, std::optional<base::Secret>& out)>;

// One of value, variable, file and reader; none of them: the environment variable that is called as
// the id, else the file that is.
struct SecretInput {
  std::string id;
  std::shared_ptr<const base::Secret> value;
  std::string variable;
  std::string file;
  std::shared_ptr<SecretReader> reader;
};

// "id=npm,src=token.txt", "id=npm,env=NPM_TOKEN", "id=npm", "id=npm,type=env".
base::Result<SecretInput> parse_secret(const std::string& spec);

// What can be known to be wrong with it by itself: no id, too many bytes.
base::Status check_secret(const SecretInput& secret);

// Variables are read, and files are there, of a size that a secret may have, and named absolutely.
base::Status prepare_secrets(std::vector<SecretInput>& secrets,
                             const base::Environment& environment);

}  // namespace depot::solve

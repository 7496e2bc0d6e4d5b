// The token seeds: 16 random bytes per registry, kept beside docker's config and shared with the
// other BuildKit clients of this user, so that all of them are one token authority.
//
// The file is a cache: what cannot be read or written is made up and kept in memory instead, and
// the worst that happens is one more token fetch in the next build.
#pragma once

#include <map>
#include <mutex>
#include <string>
#include <utility>

#include "base/cancel.h"

namespace depot::registry {

class TokenSeeds {
 public:
  // <directory>/.token_seed, under the advisory lock .token_seed.lock. Empty: memory only.
  explicit TokenSeeds(std::string directory) : directory_(std::move(directory)) {}

  // Blocks on the disk, and on the lock for two seconds at most: then it goes on without. Any
  // thread.
  std::string seed(const std::string& host, const base::Cancel& cancel);

 private:
  const std::string directory_;
  std::mutex mutex_;
  std::map<std::string, std::string> seeds_;
};

}  // namespace depot::registry

// Holds the STATs of a sender against the rules that every receiver enforces (protocol.md 4.5):
// without them a sender could write outside the directory it is given, or twice to one place.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "filesync/hash_set.h"
#include "filesync/packet.h"

namespace depot::filesync {

class PathValidator {
 public:
  // The next entry of the list. After an error the exchange is over.
  base::Status check(const Stat& stat);

 private:
  struct Parent {
    std::string dir;   // empty: the root
    std::string last;  // name of its newest child
  };
  std::vector<Parent> parents_ = {Parent{}};
  // Hashes of the paths of regular files. Two that are alike would let a link through to a file
  // that was not sent, but is there: within the directory all the same.
  HashSet link_targets_;
};

// Orders paths as a walk meets them: byte by byte, the slash below every other byte.
int compare_paths(std::string_view a, std::string_view b);

}  // namespace depot::filesync

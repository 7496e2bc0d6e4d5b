// Remembers of the status stream what an error wants to tell: names of vertexes, which one failed,
// and the last lines it printed. Bounded, whatever the daemon sends.
#pragma once

#include <deque>
#include <string>
#include <unordered_map>

#include "base/status.h"

namespace moby::buildkit::v1 {
class StatusResponse;
}

namespace depot::solve {

class Tracker {
 public:
  void add(const ::moby::buildkit::v1::StatusResponse& batch);
  // The same error with vertex, name and log tail filled in as far as they are known.
  base::Status enrich(const base::Status& status) const;

 private:
  static constexpr size_t kMaxVertexes = 100000;
  static constexpr size_t kTailBytes = 8 << 10;  // kept per vertex
  static constexpr size_t kTailLines = 10;       // told
  static constexpr size_t kMaxTails = 256;       // vertexes whose log is kept, the latest

  struct Vertex {
    std::string name;
    std::string tail;
  };
  std::unordered_map<std::string, Vertex> vertexes_;
  std::deque<std::string> with_tail_;
  std::string failed_;  // digest of the last vertex that failed and was not merely cancelled
};

}  // namespace depot::solve

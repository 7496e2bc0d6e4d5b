// The local builder's books: what Client's methods of depot/local.h give.
#ifndef DEPOT_LOCAL_HPP
#define DEPOT_LOCAL_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "depot/cancel.hpp"
#include "depot/error.hpp"
#include "depot/local.h"

namespace depot {

/// The buildkitd of a project and an architecture.
struct LocalMachine {
  std::string architecture;
  std::int32_t state = DEPOT_LOCAL_UNKNOWN;  // DEPOT_LOCAL_*
  std::int64_t pid = 0;                      // of what holds all of its processes; 0: none
  std::string buildkit_version;              // "" when it does not run
  std::int64_t builds = 0;                   // that use it
};

/// A project that has a cache on this computer.
struct LocalProject {
  std::string id, directory;
  std::vector<LocalMachine> machines;
  std::int64_t builds = 0;        // under way
  std::int64_t last_used = 0;     // nanoseconds since 1970; 0: not known
  std::int64_t cache_bytes = -1;  // on the disk; -1: not known
  bool cache_partial = false;     // so much at least
};

/// How to list, stop and reset.
class LocalOptions {
 public:
  /// Also what builds use: they fail.
  LocalOptions& force(bool value = true) {
    force_ = value;
    return *this;
  }
  LocalOptions& cancel(const Cancel& value) {
    cancel_ = value;
    return *this;
  }
  /// 0: five minutes to list, two to stop, an hour to reset.
  LocalOptions& timeout(std::chrono::milliseconds value) {
    timeout_ = value;
    return *this;
  }

 private:
  friend class Client;

  // Borrows from this object and `project`; null: all.
  depot_local_options raw(const std::optional<std::string>& project) const {
    depot_local_options out{};
    out.size = sizeof(out);
    out.project = project ? project->c_str() : nullptr;
    out.force = force_ ? 1 : 0;
    out.cancel = cancel_ ? cancel_->get() : nullptr;
    out.timeout_ms = timeout_.count();
    return out;
  }

  bool force_ = false;
  std::optional<Cancel> cancel_;
  std::chrono::milliseconds timeout_{0};
};

namespace detail {

inline std::vector<LocalProject> local_projects_of(const depot_local_projects* raw) {
  std::vector<LocalProject> out;
  for (std::size_t i = 0; i < depot_local_projects_count(raw); ++i) {
    depot_local_project p{};
    p.size = sizeof(p);
    if (depot_local_projects_get(raw, i, &p) == 0) continue;
    LocalProject& project = out.emplace_back();
    project.id = p.id;
    project.directory = p.directory;
    project.builds = p.builds;
    project.last_used = p.last_used;
    project.cache_bytes = p.cache_bytes;
    project.cache_partial = p.cache_partial != 0;
    for (std::size_t j = 0; j < p.machine_count; ++j) {
      depot_local_machine m{};
      m.size = sizeof(m);
      if (depot_local_projects_machine(raw, i, j, &m) != 0)
        project.machines.push_back({m.architecture, m.state, m.pid, m.buildkit_version, m.builds});
    }
  }
  return out;
}

}  // namespace detail
}  // namespace depot

#endif

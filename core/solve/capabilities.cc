#include "solve/capabilities.h"

#include <iterator>

namespace depot::solve {
namespace {

using base::Status;
using buildkit::Version;

// Frontend attributes that an older dockerfile.v0 does not look at. Key, or prefix with its colon.
struct AttrSince {
  std::string_view key;
  std::string_view feature;
  Version since;
};
constexpr AttrSince kAttrs[] = {
    {"attest:", "attestations", {0, 11}},       {"cpuperiod", "resource limits", {0, 31}},
    {"cpuquota", "resource limits", {0, 31}},   {"cpusetcpus", "resource limits", {0, 31}},
    {"cpusetmems", "resource limits", {0, 31}}, {"cpushares", "resource limits", {0, 31}},
    {"hostname", "a hostname", {0, 12}},        {"memory", "resource limits", {0, 31}},
    {"memswap", "resource limits", {0, 31}},    {"ulimit", "ulimits", {0, 10}},
};

// The frontend is the daemon's own: only then is it as old as the daemon.
bool builtin_frontend(const Request& request) {
  return request.frontend == "dockerfile.v0" &&
         !request.attrs.contains("build-arg:BUILDKIT_SYNTAX");
}

bool asks_for(const std::string& key, const AttrSince& attr) {
  return attr.key.ends_with(':') ? key.starts_with(attr.key) : key == attr.key;
}

}  // namespace

std::vector<Need> needs(const Request& request) {
  std::vector<Need> out;
  if (request.exports.size() > 1) {
    out.push_back({std::to_string(request.exports.size()) + " exports of one build",
                   {0, 13},
                   "ask for one at a time; --push and tags count as one"});
  }
  for (const auto& target : request.exports) {
    auto mode = target.attrs.find("mode");
    if (target.type == "local" && mode != target.attrs.end() && mode->second == "delete")
      out.push_back({"mode=delete of a local export", {0, 31}, "empty the directory beforehand"});
  }
  if (builtin_frontend(request)) {
    for (const auto& [key, value] : request.attrs) {
      // What nobody asked for may well be missing.
      if (key == "attest:provenance" && !request.attestations.contains("provenance") &&
          request.default_attestations)
        continue;
      for (const auto& attr : kAttrs) {
        if (asks_for(key, attr)) out.push_back({std::string(attr.feature), attr.since, {}});
      }
    }
  }
  return out;
}

Status check_builder(const std::vector<Need>& needs, const std::vector<buildkit::Worker>& workers) {
  for (const auto& need : needs)
    DEPOT_TRY(buildkit::check_version(need.feature, need.since, workers, need.hint));
  return {};
}

}  // namespace depot::solve

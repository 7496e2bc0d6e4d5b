#include "solve/docker_engine.h"

#include <algorithm>
#include <string_view>

namespace depot::solve {
namespace {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;

bool go_true(const std::string& value) {
  constexpr std::string_view kTrue[] = {"", "1", "t", "T", "true", "TRUE", "True"};
  return std::find(std::begin(kTrue), std::end(kTrue), value) != std::end(kTrue);
}

bool has(const Export& one, const char* key) {
  auto it = one.attrs.find(key);
  return it != one.attrs.end() && go_true(it->second);
}

bool attests(const Request& request) {
  return std::any_of(request.attrs.begin(), request.attrs.end(), [](const auto& attr) {
    return attr.first.starts_with("attest:") &&
           attr.second.find("disabled=true") == std::string::npos;
  });
}

// find_stores() has left the others' their stores.
bool for_its_own_store(const Export& one) {
  return one.type == "docker" && one.file.empty() && !one.writer && !one.load;
}

Status lacks(const std::string& message, std::string hint) {
  return Status(Code::kFailedPrecondition, Hop::kMachine, message).with_hint(std::move(hint));
}

// What the engine's own image store has no room for.
Status check_engine(const Request& request) {
  constexpr char kHint[] =
      "turn the Engine's containerd image store on, or build with another --builder";
  auto platform = request.attrs.find("platform");
  if (platform != request.attrs.end() && platform->second.find(',') != std::string::npos)
    return lacks("this Docker Engine builds for one platform at a time", kHint);
  if (attests(request)) return lacks("this Docker Engine keeps no attestations", kHint);
  for (const auto& cache : request.cache_to) {
    if (cache.type == "inline") continue;
    return lacks("this Docker Engine exports no cache of type '" + cache.type + "'",
                 std::string("type=inline goes with the image, ") + kHint);
  }
  for (const Export& one : request.exports) {
    if (one.type == "oci" || (one.type == "docker" && !for_its_own_store(one)))
      return lacks("this Docker Engine has no export of type '" + one.type + "'",
                   std::string("save the image from the Engine (docker save), ") + kHint);
    if (one.type == "image" && has(one, "push")) {
      return lacks("the BuildKit of this Docker Engine does not push",
                   std::string("push the image from the Engine (docker push), ") + kHint);
    }
    if (one.type == "image" && has(one, "push-by-digest"))
      return lacks("this Docker Engine does not push by digest", kHint);
  }
  return {};
}

}  // namespace

bool has_containerd_store(const std::vector<buildkit::Worker>& workers) {
  constexpr std::string_view kSnapshotter = "worker.snapshotter";
  for (const auto& worker : workers)
    for (const auto& [label, value] : worker.labels)
      if (label.ends_with(kSnapshotter)) return true;
  return false;
}

Result<Request> fit_engine(Request ready, bool containerd_store) {
  if (!containerd_store) {
    // Nobody asked for that one.
    if (ready.default_attestations && !ready.attestations.contains("provenance"))
      ready.attrs.erase("attest:provenance");
    DEPOT_TRY(check_engine(ready));
  }
  // The Engine's own images come first, as its users know it.
  ready.attrs.emplace("image-resolve-mode", "local");
  for (Export& one : ready.exports) {
    if (for_its_own_store(one) || one.type == "image")
      one.type = "moby";  // the Engine's name for its own store
  }
  return ready;
}

}  // namespace depot::solve

#include "builder/workers.h"

#include <moby/buildkit/v1/control.pb.h>

#include <utility>

#include "wire/methods.h"

namespace depot::builder {
namespace {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;
namespace wire_v1 = ::moby::buildkit::v1;

Status unreadable(const char* what) {
  return Status(Code::kInternal, Hop::kMachine,
                std::string(what) + ": the answer cannot be parsed");
}

BuildkitVersion version_of(const wire_v1::types::BuildkitVersion& from) {
  return {from.package(), from.version(), from.revision(), from.dockerfileversion()};
}

WorkerInfo worker_of(const wire_v1::types::WorkerRecord& from) {
  WorkerInfo out;
  out.id = from.id();
  out.labels.insert(from.labels().begin(), from.labels().end());
  for (const auto& platform : from.platforms()) {
    std::string text = platform.os() + "/" + platform.architecture();
    // As every tool writes them: v8 is what arm64 has anyway.
    bool plain = platform.architecture() == "arm64" && platform.variant() == "v8";
    if (!platform.variant().empty() && !plain) text += "/" + platform.variant();
    out.platforms.push_back(std::move(text));
  }
  out.buildkit = version_of(from.buildkitversion());
  for (const auto& rule : from.gcpolicy()) {
    GcPolicy& policy = out.gc_policies.emplace_back();
    policy.all = rule.all();
    policy.keep_duration = std::chrono::nanoseconds(rule.keepduration());
    policy.reserved_space = rule.reservedspace();
    policy.max_used_space = rule.maxusedspace();
    policy.min_free_space = rule.minfreespace();
    policy.filters.assign(rule.filters().begin(), rule.filters().end());
  }
  for (const auto& one : from.cdidevices()) {
    Device& device = out.devices.emplace_back();
    device.name = one.name();
    device.auto_allow = one.autoallow();
    device.on_demand = one.ondemand();
    device.annotations.insert(one.annotations().begin(), one.annotations().end());
  }
  return out;
}

}  // namespace

Result<std::vector<WorkerInfo>> list_workers(buildkit::Channel& channel,
                                             const std::vector<std::string>& filters,
                                             const Ask& how) {
  wire_v1::ListWorkersRequest request;
  for (const auto& filter : filters) request.add_filter(filter);
  DEPOT_ASSIGN(std::string answer,
               ask_once(channel, wire::kControlListWorkers, request.SerializeAsString(), how));
  wire_v1::ListWorkersResponse response;
  if (!response.ParseFromString(answer)) return unreadable("ListWorkers");
  std::vector<WorkerInfo> out;
  for (const auto& record : response.record()) out.push_back(worker_of(record));
  return out;
}

Result<BuildkitVersion> info(buildkit::Channel& channel, const Ask& how) {
  auto answer = ask_once(channel, wire::kControlInfo, "", how);
  if (!answer.ok())
    return explain_missing(answer.status(), "the question for its version", {0, 11});
  wire_v1::InfoResponse response;
  if (!response.ParseFromString(*answer)) return unreadable("Info");
  return version_of(response.buildkitversion());
}

}  // namespace depot::builder

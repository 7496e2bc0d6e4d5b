// What a build's result has beside the builder's answer: from its history, and of its build.
#include <algorithm>

#include "base/base64.h"
#include "builder/provenance.h"
#include "machine/machine.h"
#include "solve/result.h"

namespace depot::machine {

namespace {

// docker buildx's names in a metadata file.
constexpr char kKey[] = "buildx.build.provenance";

// A build that is done is not held up for longer by what is said of it.
constexpr std::chrono::milliseconds kPatience = std::chrono::seconds(30);

}  // namespace

void Machine::add_attestations(solve::Result& result, const solve::Request& ready,
                               const std::shared_ptr<buildkit::Channel>& channel,
                               const base::Cancel& cancel, std::chrono::milliseconds left) const {
  std::vector<buildkit::Worker> workers;
  {
    std::lock_guard lock(mutex_);
    workers = workers_;
  }
  base::Cancel either = cancel.child();
  auto gone = gone_.on_trigger([either] { either.trigger(); });
  auto detail = ready.record_provenance == "max" ? builder::ProvenanceDetail::kMax
                                                 : builder::ProvenanceDetail::kMin;
  builder::Ask how{either, left.count() > 0 ? std::min(left, kPatience) : kPatience};
  auto found = builder::read_attestations(*channel, workers, result.ref, detail, how);
  if (!found.ok()) {
    // The image is there, whether or not its making can be told.
    base::log(build_->client()->options().log, base::LogLevel::kWarning,
              "the build's attestations could not be read: " + found.status().message());
    return;
  }
  for (const auto& blob : found->all)
    result.attestations.push_back({blob.type, blob.platform, blob.digest, blob.size});
  for (const auto& [platform, json] : found->provenance) {
    result.response[kKey + (platform.empty() ? "" : "/" + platform)] = base::base64_encode(json);
  }
}

base::Result<solve::Result> Machine::named(base::Result<solve::Result> result,
                                           const solve::Request& ready) const {
  if (!result.ok()) return result;
  const Client& client = *build_->client();
  bool depot = client.kind() == Client::Kind::kDepot;
  if (depot) solve::add_depot_build(result->response, build_->id(), build_->project());
  // Of a call there is nothing to come back to: docker buildx names builds alone, too.
  if (ready.call.empty()) {
    // An address is no name: what docker buildx calls such a driver.
    const std::string builder =
        client.kind() == Client::Kind::kAddress ? "remote" : client.builder();
    result->response[solve::kBuildRef] = builder + "/" + platform_ + "/" + result->ref;
  }
  return result;
}

}  // namespace depot::machine

#include "builder/disk_usage.h"

#include <moby/buildkit/v1/control.pb.h>

#include <algorithm>
#include <tuple>
#include <utility>

#include "wire/methods.h"

namespace depot::builder {
namespace {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;
namespace wire_v1 = ::moby::buildkit::v1;

// More than any cache has; a message may be 128 MiB.
constexpr int kMostRecords = 1000000;

Status check_filters(const Filters& filters, const std::vector<buildkit::Worker>& workers) {
  if (filters.older_than.count() == 0) return {};
  return buildkit::check_version("a limit of age in its disk usage", {0, 22}, workers,
                                 "list all records and look at when they were last used");
}

int64_t nanoseconds_of(const google::protobuf::Timestamp& stamp) {
  constexpr int64_t kMostSeconds = INT64_MAX / 1000000000 - 1;
  return std::clamp(stamp.seconds(), int64_t{0}, kMostSeconds) * 1000000000 + stamp.nanos();
}

UsageRecord record_of(const wire_v1::UsageRecord& from) {
  UsageRecord out;
  out.id = from.id();
  out.type = from.recordtype();
  out.description = from.description();
  out.parents.assign(from.parents().begin(), from.parents().end());
  out.size = from.size();
  if (from.has_createdat()) out.created = nanoseconds_of(from.createdat());
  if (from.has_lastusedat()) out.last_used = nanoseconds_of(from.lastusedat());
  out.usage_count = from.usagecount();
  out.in_use = from.inuse();
  out.is_mutable = from.mutable_();
  out.shared = from.shared();
  return out;
}

}  // namespace

Result<std::vector<UsageRecord>> disk_usage(buildkit::Channel& channel,
                                            const std::vector<buildkit::Worker>& workers,
                                            const Filters& filters, const Ask& how) {
  DEPOT_TRY(check_filters(filters, workers));
  wire_v1::DiskUsageRequest request;
  for (const auto& filter : filters.filters) request.add_filter(filter);
  request.set_agelimit(filters.older_than.count());
  DEPOT_ASSIGN(std::string answer,
               ask_once(channel, wire::kControlDiskUsage, request.SerializeAsString(), how));
  wire_v1::DiskUsageResponse response;
  if (!response.ParseFromString(answer))
    return Status(Code::kInternal, Hop::kMachine, "DiskUsage: the answer cannot be parsed");
  if (response.record_size() > kMostRecords)
    return Status(Code::kResourceExhausted, Hop::kMachine,
                  "the builder's cache has more than a million records")
        .with_hint("give filters");
  std::vector<UsageRecord> out;
  out.reserve(static_cast<size_t>(response.record_size()));
  for (const auto& record : response.record()) out.push_back(record_of(record));
  std::sort(out.begin(), out.end(), [](const UsageRecord& a, const UsageRecord& b) {
    return std::tie(a.size, a.id) < std::tie(b.size, b.id);
  });
  return out;
}

Result<Pruned> prune(buildkit::Channel& channel, const std::vector<buildkit::Worker>& workers,
                     const PruneOptions& options, const OnPruned& on_pruned, const Ask& how) {
  if (options.max_used_space != 0 || options.min_free_space != 0)
    DEPOT_TRY(buildkit::check_version("max-used-space and min-free-space", {0, 17}, workers,
                                      "an older one knows reserved-space alone"));
  wire_v1::PruneRequest request;
  for (const auto& filter : options.filters.filters) request.add_filter(filter);
  request.set_all(options.all);
  request.set_keepduration(options.filters.older_than.count());
  request.set_reservedspace(options.reserved_space);
  request.set_maxusedspace(options.max_used_space);
  request.set_minfreespace(options.min_free_space);
  Pruned out;
  DEPOT_TRY(ask(channel, wire::kControlPrune, request.SerializeAsString(), how,
                [&](const std::string& message) -> Status {
                  wire_v1::UsageRecord record;
                  if (!record.ParseFromString(message))
                    return Status(Code::kInternal, Hop::kMachine,
                                  "Prune: a record cannot be parsed");
                  ++out.count;
                  if (record.size() > 0 && out.bytes < INT64_MAX - record.size())
                    out.bytes += record.size();
                  return on_pruned ? on_pruned(record_of(record)) : Status();
                }));
  return out;
}

}  // namespace depot::builder

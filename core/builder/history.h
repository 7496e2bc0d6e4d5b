// The builds that a builder remembers: since BuildKit 0.11, kFailedPrecondition from an older one
// and from what stands before a builder without passing these calls on.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "builder/ask.h"

namespace depot::builder {

// What a build left in the builder's store; read_blob() reads it.
struct Blob {
  enum class Kind { kLogs = 1, kTrace = 2, kError = 3, kResult = 4, kAttestation = 5 };
  Kind kind = Kind::kLogs;
  std::string type;      // predicate type of an attestation, else the media type
  std::string platform;  // of a result or attestation; "" when the build has one for all
  std::string digest;
  int64_t size = 0;
};

enum class BuildState { kRunning = 1, kCompleted = 2, kFailed = 3, kCanceled = 4 };

struct HistoryRecord {
  std::string ref;
  std::string name;  // as docker buildx calls it; "" when nothing tells
  std::string frontend;
  std::map<std::string, std::string> attrs;  // of the frontend
  std::vector<std::pair<std::string, std::map<std::string, std::string>>> exporters;
  std::map<std::string, std::string> response;  // of the exporters
  BuildState state = BuildState::kRunning;
  base::Status error;                  // why it failed, or was cancelled
  int64_t created = 0, completed = 0;  // nanoseconds since 1970 by the builder's clock; 0: not yet
  int32_t total_steps = 0, completed_steps = 0, cached_steps = 0, warnings = 0;
  bool pinned = false;  // kept when old ones go
  std::vector<Blob> blobs;
};

struct HistoryOptions {
  // BuildKit's, as several of which any may match: comma lists of `ref`, `status` (running,
  // completed, error, canceled), `repository` with = or !=, `startedAt`, `completedAt`, `duration`
  // with <, <=, >, >= and a duration or an RFC 3339 time. Running builds are not filtered. Since
  // 0.20, on older ones kFailedPrecondition.
  std::vector<std::string> filters;
  std::string ref;    // this build alone; none of it is kNotFound
  int32_t limit = 0;  // the newest so many; 0: all
  bool active_only = false;
};

// Running ones first, then the newest.
base::Result<std::vector<HistoryRecord>> list_history(buildkit::Channel& channel,
                                                      const std::vector<buildkit::Worker>& workers,
                                                      const HistoryOptions& options,
                                                      const Ask& how);

// What went on in a build: serialized StatusResponse messages, in order, to its end, also when it
// still runs. What is not ok from `on_status` ends it.
base::Status read_logs(buildkit::Channel& channel, const std::string& ref,
                       const OnMessage& on_status, const Ask& how);

// kNotFound for a build that is not in the history.
base::Status delete_history(buildkit::Channel& channel, const std::string& ref, const Ask& how);

// A blob of the history, in order; checked against its digest at the end (kDataLoss).
base::Status read_blob(buildkit::Channel& channel, const std::string& digest,
                       const std::function<base::Status(const std::string& bytes)>& on_bytes,
                       const Ask& how);

// One filter in BuildKit's spelling.
base::Result<std::string> parse_history_filter(const std::string& filter);

}  // namespace depot::builder

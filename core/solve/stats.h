// How long each part of a build took, and how much was moved: what is told of it afterwards.
//
// Times of what the builder does are by its clock, from its statuses: from the first beginning to
// the last end of a kind, so what ran side by side counts once. Ours are by this computer's.
#pragma once

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <unordered_map>

namespace moby::buildkit::v1 {
class StatusResponse;
}
namespace google::protobuf {
class Timestamp;
}

namespace depot::solve {

struct Stats {
  using Time = std::chrono::nanoseconds;
  // Ours. Zero: it was not done, or not by this call.
  Time acquire{0};  // of a machine, the registering of the build before it included
  Time connect{0};  // to the builder; on a connection that stood, next to nothing
  Time solve{0};    // from the request until all had ended
  // The builder's.
  Time context{0};  // "load build context" and that of named contexts
  Time exporting{0};
  Time pushing{0};  // part of exporting
  // As the builder's own history counts them.
  int32_t steps = 0;
  int32_t cached_steps = 0;
  int32_t completed_steps = 0;
  // What local directories sent, and what exports brought here.
  uint64_t context_entries = 0;  // that were listed
  uint64_t context_files = 0;    // whose content was asked for
  uint64_t context_bytes = 0;    // of that content
  uint64_t sent_bytes = 0;       // with the lists, as they went over the wire
  uint64_t export_bytes = 0;
};

// Folds the status batches. Bounded: of steps beyond the first 100000 nothing is counted.
class StatsFold {
 public:
  void add(const ::moby::buildkit::v1::StatusResponse& batch);
  // The steps and the builder's times.
  Stats stats() const;

 private:
  static constexpr size_t kMaxSteps = 100000;

  struct Span {
    std::optional<int64_t> begin, end;
    void widen(const ::google::protobuf::Timestamp* started,
               const ::google::protobuf::Timestamp* completed);
    Stats::Time length() const;
  };
  struct Step {
    bool cached = false;
    bool completed = false;
  };
  std::unordered_map<std::string, Step> steps_;
  Span context_, exporting_, pushing_;
};

}  // namespace depot::solve

// What is known of a build from its status batches so far: the folded model, which every display
// draws and which callers can read. A batch is a delta (protocol.md 9.1); this is what they add up
// to.
//
// A step is a vertex, or a progress group: BuildKit's way to show several vertexes as one. Members
// of a group are steps too, of which a display shows the group alone.
//
// Bounded, whatever a builder sends: long texts are cut, of statuses, warnings and log lines the
// oldest go, and when all of it is too much the oldest steps; how much went is counted. Not
// thread-safe.
#pragma once

#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "base/error.h"

namespace moby::buildkit::v1 {
class StatusResponse;
class Vertex;
class VertexLog;
class VertexStatus;
class VertexWarning;
}  // namespace moby::buildkit::v1

namespace depot::progress {

// Nanoseconds since 1970 by the builder's clock.
using Time = int64_t;
inline constexpr Time kNever = std::numeric_limits<Time>::min();

struct Interval {
  Time start = 0;
  Time stop = kNever;  // kNever: goes on
};

// Those that overlap become one; sorted by start. One that goes on takes all that follow.
std::vector<Interval> merge_intervals(const std::map<Time, Time>& runs);
// The latest time that a batch names.
Time latest_time(const ::moby::buildkit::v1::StatusResponse& batch);
// b - a in seconds, as Go's Duration.Seconds() counts them.
double seconds_between(Time a, Time b);

struct StepStatus {
  std::string id;
  std::string name;
  int64_t current = 0;
  int64_t total = 0;  // 0: not known
  Time timestamp = kNever;
  Time started = kNever;
  Time completed = kNever;
};

struct StepWarning {
  std::string message;
  std::vector<std::string> details;
  std::string url;
  base::SourceLocation source;
  int32_t level = 0;
};

enum class StepState : int32_t {
  kPending = 0,  // told of, not begun
  kRunning = 1,
  kDone = 2,
  kCached = 3,
  kError = 4,
  kCanceled = 5,
};

// The last lines that a step printed, without their ends.
struct LogTail {
  std::deque<std::string> lines;
  std::deque<Time> times;  // of each line's first byte
  bool partial = false;    // the last one goes on
  size_t bytes = 0;
  uint64_t dropped = 0;  // lines that were before these
};

struct Step {
  std::string digest;  // of a group: its id
  std::string name;
  std::string error;
  std::string platform;  // "linux/arm64", as far as the name has it; the one that it runs on
  std::string group;     // digest of the group's step; empty: in none
  std::vector<std::string> inputs;
  bool cached = false;
  bool is_group = false;
  bool weak = false;     // of a member: it alone does not make the group worth showing
  bool hidden = false;   // of a group: no member has begun that makes it worth showing
  bool dropped = false;  // the trace has let go of it
  int32_t number = 0;    // counted from 1 in the order in which they began; 0: not begun

  std::map<Time, Time> runs;        // start to stop; a step may run again
  std::vector<Interval> intervals;  // the same merged

  std::deque<StepStatus> statuses;   // in the order in which they came
  std::deque<uint64_t> begun;        // sequence numbers, in the order in which they started
  uint64_t dropped_statuses = 0;     // sequence number of statuses[0]
  std::deque<StepWarning> warnings;  // in the order in which they came, each once
  uint64_t dropped_warnings = 0;
  LogTail log;

  bool started() const { return !intervals.empty(); }
  bool completed() const { return started() && intervals.back().stop != kNever; }
  bool canceled() const;  // its error says that it was
  StepState state() const;
  // How long it ran, overlaps counted once; what goes on, until `now`.
  double seconds(Time now) const;
  const StepStatus& status(uint64_t sequence) const {
    return statuses[sequence - dropped_statuses];
  }

 private:
  friend class Trace;
  std::unordered_map<std::string, uint64_t> status_ids_;
  std::vector<std::shared_ptr<Step>> members_;
  Time last_start_ = kNever, last_stop_ = kNever;  // as the last vertex message told
  // What the last message that made an event of it said (see Trace::told).
  bool told_ = false, told_cached_ = false;
  std::string told_name_, told_error_;
  Time told_start_ = kNever;
  size_t bytes_ = 0;
};

// What a batch changed in a step.
struct Change {
  struct Log {
    std::string_view data;  // of the batch; cut anywhere
    Time time = kNever;
  };
  std::shared_ptr<Step> step;
  int events = 0;
  bool fresh = false;                 // something that is worth printing; a warning alone is not
  std::vector<std::string> statuses;  // ids of those that were told, in that order
  std::vector<std::string> warnings;  // messages, also those that were told before
  std::vector<Log> logs;
};

class Trace {
 public:
  struct Limits {
    size_t steps = 50000;
    size_t bytes = 64 << 20;  // of all texts together
    size_t text = 64 << 10;   // of one
    size_t statuses = 4096;   // of a step
    size_t warnings = 1000;   // of a step
    size_t log_lines = 10;    // of a step
    size_t log_bytes = 256 << 10;
  };

  Trace() = default;
  explicit Trace(const Limits& limits) : limits_(limits) {}

  // The changes, each step once, in the order in which they were met. Their logs are views of
  // `batch`.
  std::vector<Change> update(const ::moby::buildkit::v1::StatusResponse& batch);
  // The build was cancelled: what still runs ends now. Gives those steps.
  std::vector<std::shared_ptr<Step>> cancel();

  // In the order in which they were told of, groups and their members too.
  const std::vector<std::shared_ptr<Step>>& steps() const { return steps_; }
  // Those that a display shows (no members, no hidden groups), in the order in which they began.
  const std::vector<std::shared_ptr<Step>>& shown() const { return shown_; }
  // The builder's clock, as far as it was seen; kNever: not at all.
  Time now() const { return now_; }
  // When the first step began; kNever: none has.
  Time began() const { return began_; }
  uint64_t dropped_steps() const { return dropped_steps_; }
  // All warnings, each once whatever step it is of, in the order in which they came.
  const std::deque<StepWarning>& warnings() const { return warnings_; }

 private:
  class Batch;

  std::shared_ptr<Step> find(const std::string& digest) const;
  std::shared_ptr<Step> add(const std::string& digest);
  void apply(const ::moby::buildkit::v1::Vertex& vertex, Batch& batch);
  void apply_member(const ::moby::buildkit::v1::Vertex& vertex, Batch& batch);
  void apply(const ::moby::buildkit::v1::VertexStatus& status, Batch& batch);
  void apply(const ::moby::buildkit::v1::VertexWarning& warning, Batch& batch);
  void apply(const ::moby::buildkit::v1::VertexLog& log, Batch& batch);
  void apply(const ::moby::buildkit::v1::VertexStatus& status, Step& step);
  void refresh(const std::shared_ptr<Step>& group, Batch& batch);
  void take(const ::moby::buildkit::v1::Vertex& vertex, Step& step);
  bool told(const ::moby::buildkit::v1::Vertex& vertex, Step& step);
  void run(Step& step, Time start, Time stop);
  void show(const std::shared_ptr<Step>& step);
  void saw(Time time);
  void append_log(Step& step, std::string_view data, Time time);
  void charge(Step& step, size_t before, size_t after);
  void drop_oldest();
  std::string cut(const std::string& text) const;

  Limits limits_;
  std::vector<std::shared_ptr<Step>> steps_;
  std::vector<std::shared_ptr<Step>> shown_;
  // Digests of vertexes and ids of groups; a member's leads to its own step.
  std::unordered_map<std::string, std::shared_ptr<Step>> by_digest_;
  std::deque<StepWarning> warnings_;
  Time now_ = kNever, began_ = kNever;
  int32_t numbers_ = 0;
  size_t bytes_ = 0;
  uint64_t dropped_steps_ = 0;
};

}  // namespace depot::progress

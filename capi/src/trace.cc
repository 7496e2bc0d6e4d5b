#include "progress/trace.h"

#include <moby/buildkit/v1/control.pb.h>

#include <mutex>
#include <unordered_map>

#include "depot/progress.h"
#include "guard.h"
#include "hand_out.h"
#include "handles.h"
#include "progress/error_text.h"
#include "progress/rawjson_read.h"
#include "status.h"

using depot::base::Status;
using namespace depot::capi;  // NOLINT: one file, one purpose
namespace progress = depot::progress;

struct depot_trace {
  // What is made of an entry when it is asked for, for as long as the trace stays as it is.
  struct WarningView {
    std::vector<const char*> details;
    std::vector<depot_range> ranges;
    std::string excerpt;
  };

  progress::Trace trace;
  mutable std::mutex mutex;
  mutable std::unordered_map<const progress::StepWarning*, WarningView> warnings;
  mutable std::unordered_map<const progress::Step*, std::string> tails;

  void forget() {
    warnings.clear();
    tails.clear();
  }
};

namespace {

// What the structs were in 0.1.0: the least that a caller can have.
constexpr size_t kFirstStep = DEPOT_SIZE_TO(depot_step, hidden);
constexpr size_t kFirstInterval = DEPOT_SIZE_TO(depot_interval, stop);
constexpr size_t kFirstStatus = DEPOT_SIZE_TO(depot_vertex_status, completed);
constexpr size_t kFirstWarning = DEPOT_SIZE_TO(depot_vertex_warning, reserved);

int64_t time(progress::Time at) {
  return at == progress::kNever ? 0 : at;
}

const progress::Step* step_of(const depot_trace* trace, size_t index) {
  if (trace == nullptr || index >= trace->trace.steps().size()) return nullptr;
  return trace->trace.steps()[index].get();
}

const std::string& tail_of(const depot_trace* trace, const progress::Step& step) {
  std::lock_guard lock(trace->mutex);
  auto [it, added] = trace->tails.try_emplace(&step);
  if (added) {
    for (const auto& line : step.log.lines)
      it->second += (&line == &step.log.lines.front() ? "" : "\n") + line;
  }
  return it->second;
}

int32_t give(const depot_trace* trace, const progress::StepWarning& from, const char* vertex,
             depot_vertex_warning* out) {
  try {
    std::lock_guard lock(trace->mutex);
    auto [it, added] = trace->warnings.try_emplace(&from);
    auto& view = it->second;
    if (added) {
      for (const auto& detail : from.details) view.details.push_back(detail.c_str());
      for (const auto& range : from.source.ranges)
        view.ranges.push_back(
            {range.start_line, range.start_character, range.end_line, range.end_character});
      view.excerpt = progress::source_excerpt(from.source);
    }
    depot_vertex_warning warning{};
    warning.vertex = vertex;
    warning.message = from.message.c_str();
    warning.url = from.url.c_str();
    warning.source_file = from.source.filename.c_str();
    warning.detail_count = view.details.size();
    warning.details = view.details.data();
    warning.range_count = view.ranges.size();
    warning.ranges = view.ranges.data();
    warning.level = from.level;
    warning.excerpt = view.excerpt.c_str();
    return hand_out(warning, kFirstWarning, out);
  } catch (...) {
    return 0;
  }
}

}  // namespace

depot_trace* depot_trace_new(void) {
  try {
    return new depot_trace();
  } catch (...) {
    return nullptr;
  }
}

void depot_trace_free(depot_trace* trace) {
  delete trace;
}

depot_code depot_trace_update(depot_trace* trace, const depot_status* status, depot_error** error) {
  return guard(error, [&]() -> Status {
    if (trace == nullptr) return null_argument("trace");
    if (status == nullptr) return null_argument("status");
    trace->forget();
    trace->trace.update(*status->batch);
    return {};
  });
}

depot_code depot_trace_update_json(depot_trace* trace, const char* line, size_t size,
                                   depot_error** error) {
  return guard(error, [&]() -> Status {
    if (trace == nullptr) return null_argument("trace");
    if (line == nullptr) return null_argument("line");
    moby::buildkit::v1::StatusResponse batch;
    DEPOT_TRY(progress::read_rawjson({line, size}, batch));
    trace->forget();
    trace->trace.update(batch);
    return {};
  });
}

void depot_trace_cancel(depot_trace* trace) {
  if (trace == nullptr) return;
  trace->forget();
  try {
    trace->trace.cancel();
  } catch (...) {  // NOLINT: no memory; the steps run on
  }
}

size_t depot_trace_step_count(const depot_trace* trace) {
  return trace == nullptr ? 0 : trace->trace.steps().size();
}

int32_t depot_trace_step(const depot_trace* trace, size_t step, depot_step* out) {
  const auto* from = step_of(trace, step);
  if (from == nullptr) return 0;
  try {
    depot_step to{};
    to.digest = from->digest.c_str();
    to.name = from->name.c_str();
    to.error = from->error.c_str();
    to.platform = from->platform.c_str();
    to.group = from->group.c_str();
    to.log_tail = tail_of(trace, *from).c_str();
    if (from->started()) {
      to.started = from->intervals.front().start;
      to.completed = time(from->intervals.back().stop);
    }
    to.duration = static_cast<int64_t>(from->seconds(trace->trace.now()) * 1e9);
    to.dropped_statuses = from->dropped_statuses;
    to.dropped_warnings = from->dropped_warnings;
    to.dropped_log_lines = from->log.dropped;
    to.status_count = from->statuses.size();
    to.warning_count = from->warnings.size();
    to.input_count = from->inputs.size();
    to.interval_count = from->intervals.size();
    to.number = from->number;
    to.state = static_cast<int32_t>(from->state());
    to.is_group = from->is_group ? 1 : 0;
    to.hidden = from->hidden ? 1 : 0;
    return hand_out(to, kFirstStep, out);
  } catch (...) {
    return 0;
  }
}

int32_t depot_trace_status(const depot_trace* trace, size_t step, size_t index,
                           depot_vertex_status* out) {
  const auto* from = step_of(trace, step);
  if (from == nullptr || index >= from->statuses.size()) return 0;
  const auto& status = from->statuses[index];
  depot_vertex_status to{};
  to.id = status.id.c_str();
  to.vertex = from->digest.c_str();
  to.name = status.name.c_str();
  to.current = status.current;
  to.total = status.total;
  to.timestamp = time(status.timestamp);
  to.started = time(status.started);
  to.completed = time(status.completed);
  return hand_out(to, kFirstStatus, out);
}

int32_t depot_trace_step_warning(const depot_trace* trace, size_t step, size_t index,
                                 depot_vertex_warning* out) {
  const auto* from = step_of(trace, step);
  if (from == nullptr || index >= from->warnings.size()) return 0;
  return give(trace, from->warnings[index], from->digest.c_str(), out);
}

int32_t depot_trace_interval(const depot_trace* trace, size_t step, size_t index,
                             depot_interval* out) {
  const auto* from = step_of(trace, step);
  if (from == nullptr || index >= from->intervals.size()) return 0;
  depot_interval to{};
  to.start = from->intervals[index].start;
  to.stop = time(from->intervals[index].stop);
  return hand_out(to, kFirstInterval, out);
}

const char* depot_trace_input(const depot_trace* trace, size_t step, size_t index) {
  const auto* from = step_of(trace, step);
  return from == nullptr || index >= from->inputs.size() ? "" : from->inputs[index].c_str();
}

size_t depot_trace_warning_count(const depot_trace* trace) {
  return trace == nullptr ? 0 : trace->trace.warnings().size();
}

int32_t depot_trace_warning(const depot_trace* trace, size_t index, depot_vertex_warning* out) {
  if (index >= depot_trace_warning_count(trace)) return 0;
  return give(trace, trace->trace.warnings()[index], "", out);
}

int64_t depot_trace_now(const depot_trace* trace) {
  return trace == nullptr ? 0 : time(trace->trace.now());
}

uint64_t depot_trace_dropped_steps(const depot_trace* trace) {
  return trace == nullptr ? 0 : trace->trace.dropped_steps();
}

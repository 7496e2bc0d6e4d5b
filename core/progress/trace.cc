#include "progress/trace.h"

#include <moby/buildkit/v1/control.pb.h>

#include <algorithm>

#include "progress/text.h"

namespace depot::progress {
namespace {

namespace control = ::moby::buildkit::v1;

constexpr size_t kStepCost = 600;    // of a step without its texts
constexpr size_t kStatusCost = 200;  // of a status, of a warning
constexpr size_t kMaxInputs = 4096;
constexpr size_t kMaxRuns = 1000;
constexpr std::string_view kCanceled = "context canceled";

// Times beyond what 64 bits of nanoseconds hold (a builder's nonsense) are cut.
Time time_of(const google::protobuf::Timestamp& stamp) {
  constexpr int64_t kMaxSeconds = 9'000'000'000;
  int64_t seconds = std::clamp<int64_t>(stamp.seconds(), -kMaxSeconds, kMaxSeconds);
  return seconds * 1'000'000'000 + std::clamp(stamp.nanos(), 0, 999'999'999);
}
Time time_of(bool has, const google::protobuf::Timestamp& stamp) {
  return has ? time_of(stamp) : kNever;
}

bool same(const StepWarning& a, const StepWarning& b) {
  auto same_range = [](const base::SourceRange& x, const base::SourceRange& y) {
    return x.start_line == y.start_line && x.start_character == y.start_character &&
           x.end_line == y.end_line && x.end_character == y.end_character;
  };
  return a.level == b.level && a.message == b.message && a.details == b.details && a.url == b.url &&
         a.source.filename == b.source.filename && a.source.data == b.source.data &&
         std::equal(a.source.ranges.begin(), a.source.ranges.end(), b.source.ranges.begin(),
                    b.source.ranges.end(), same_range);
}

size_t cost(const StepWarning& warning) {
  size_t bytes = kStatusCost + warning.message.size() + warning.url.size() +
                 warning.source.filename.size() + warning.source.data.size() +
                 warning.source.ranges.size() * sizeof(base::SourceRange);
  for (const auto& detail : warning.details) bytes += detail.size() + sizeof(std::string);
  return bytes;
}

size_t cost(const StepStatus& status) {
  return kStatusCost + 2 * status.id.size() + status.name.size();
}

size_t cost_of_texts(const Step& step) {
  size_t bytes = kStepCost + 3 * step.digest.size() + 2 * (step.name.size() + step.error.size()) +
                 step.group.size();
  for (const auto& input : step.inputs) bytes += input.size() + sizeof(std::string);
  return bytes;
}

}  // namespace

double seconds_between(Time a, Time b) {
  // What Go's time.Sub answers when the difference does not fit.
  Time difference = 0;
  if (__builtin_sub_overflow(b, a, &difference)) difference = b > a ? INT64_MAX : INT64_MIN;
  return static_cast<double>(difference / 1'000'000'000) +
         static_cast<double>(difference % 1'000'000'000) / 1e9;
}

Time latest_time(const control::StatusResponse& batch) {
  Time latest = kNever;
  auto saw = [&](bool has, const google::protobuf::Timestamp& stamp) {
    if (has) latest = std::max(latest, time_of(stamp));
  };
  for (const auto& vertex : batch.vertexes()) {
    saw(vertex.has_started(), vertex.started());
    saw(vertex.has_completed(), vertex.completed());
  }
  for (const auto& status : batch.statuses()) saw(status.has_timestamp(), status.timestamp());
  for (const auto& log : batch.logs()) saw(log.has_timestamp(), log.timestamp());
  return latest;
}

std::vector<Interval> merge_intervals(const std::map<Time, Time>& runs) {
  std::vector<Interval> merged;
  for (const auto& [start, stop] : runs) {
    if (merged.empty() || (merged.back().stop != kNever && merged.back().stop < start)) {
      merged.push_back({start, stop});
      continue;
    }
    Interval& last = merged.back();
    if (last.stop == kNever) break;
    last.stop = stop == kNever ? kNever : std::max(last.stop, stop);
  }
  return merged;
}

bool Step::canceled() const {
  return error.ends_with(kCanceled);
}

StepState Step::state() const {
  if (!error.empty()) return canceled() ? StepState::kCanceled : StepState::kError;
  if (cached && (completed() || !started())) return StepState::kCached;
  if (!started()) return StepState::kPending;
  return completed() ? StepState::kDone : StepState::kRunning;
}

double Step::seconds(Time now) const {
  double total = 0;
  for (const auto& interval : intervals) {
    Time stop = interval.stop == kNever ? std::max(now, interval.start) : interval.stop;
    total += seconds_between(interval.start, stop);
  }
  return total;
}

// The changes of one batch.
class Trace::Batch {
 public:
  Change& of(const std::shared_ptr<Step>& step) {
    auto [it, added] = index_.try_emplace(step.get(), changes.size());
    if (added) changes.push_back({step, 0, false, {}, {}, {}});
    return changes[it->second];
  }

  std::vector<Change> changes;
  std::vector<std::shared_ptr<Step>> groups;  // told of, in that order

 private:
  std::unordered_map<const Step*, size_t> index_;
};

std::vector<Change> Trace::update(const control::StatusResponse& message) {
  Batch batch;
  for (const auto& vertex : message.vertexes()) apply(vertex, batch);
  for (const auto& group : batch.groups) refresh(group, batch);
  for (const auto& status : message.statuses()) apply(status, batch);
  for (const auto& warning : message.warnings()) apply(warning, batch);
  for (const auto& log : message.logs()) apply(log, batch);
  if (steps_.size() > limits_.steps || bytes_ > limits_.bytes) drop_oldest();
  return std::move(batch.changes);
}

std::shared_ptr<Step> Trace::find(const std::string& digest) const {
  auto it = by_digest_.find(digest);
  return it == by_digest_.end() ? nullptr : it->second;
}

std::shared_ptr<Step> Trace::add(const std::string& digest) {
  auto step = std::make_shared<Step>();
  step->digest = digest;
  steps_.push_back(step);
  by_digest_[digest] = step;
  charge(*step, 0, cost_of_texts(*step));
  return step;
}

std::string Trace::cut(const std::string& text) const {
  return text.size() <= limits_.text ? text : text.substr(0, limits_.text) + "...";
}

void Trace::charge(Step& step, size_t before, size_t after) {
  step.bytes_ += after - before;  // modulo: may be less
  bytes_ += after - before;
}

void Trace::saw(Time time) {
  if (time != kNever) now_ = std::max(now_, time);
}

void Trace::run(Step& step, Time start, Time stop) {
  if (step.runs.size() >= kMaxRuns && !step.runs.contains(start))
    step.runs.erase(step.runs.begin());
  step.runs[start] = stop;
  step.intervals = merge_intervals(step.runs);
}

void Trace::show(const std::shared_ptr<Step>& step) {
  step->number = ++numbers_;
  shown_.push_back(step);
}

// The vertex as it is told last; one that has begun is not undone by a copy of its announcement.
void Trace::take(const control::Vertex& vertex, Step& step) {
  size_t before = cost_of_texts(step);
  step.name = cut(vertex.name());
  step.error = cut(vertex.error());
  // A cut text must not lose what says that it was cancelled.
  if (vertex.error().ends_with(kCanceled) && !step.canceled()) step.error += kCanceled;
  step.platform = platform_in_name(step.name);
  step.cached = vertex.cached();
  step.inputs.clear();
  for (const auto& input : vertex.inputs()) {
    if (step.inputs.size() >= kMaxInputs) break;
    step.inputs.push_back(cut(input));
  }
  charge(step, before, cost_of_texts(step));
}

// Whether the vertex, which has begun, says anything that it did not say before; being told again
// that it is complete counts as such.
bool Trace::told(const control::Vertex& vertex, Step& step) {
  Time start = time_of(vertex.started());
  bool changed = !step.told_ || step.told_name_ != step.name || step.told_start_ != start ||
                 vertex.has_completed() || step.told_cached_ != vertex.cached() ||
                 step.told_error_ != step.error;
  step.told_ = true;
  step.told_name_ = step.name;
  step.told_error_ = step.error;
  step.told_start_ = start;
  step.told_cached_ = vertex.cached();
  return changed;
}

void Trace::apply(const control::Vertex& vertex, Batch& batch) {
  Time start = time_of(vertex.has_started(), vertex.started());
  Time stop = time_of(vertex.has_completed(), vertex.completed());
  saw(start);
  saw(stop);
  if (began_ == kNever) began_ = start;
  auto step = find(vertex.digest());
  if (step != nullptr && step->is_group) return;  // an id that is a digest: a builder's nonsense
  if (vertex.has_progressgroup()) return apply_member(vertex, batch);
  if (step == nullptr) step = add(vertex.digest());
  if (!step->group.empty()) return;  // once a member, always a member
  bool had_started = step->started();
  if (start != kNever || !had_started) take(vertex, *step);
  if (start == kNever) return;
  if (told(vertex, *step)) {
    Change& change = batch.of(step);
    change.events += 1;
    change.fresh = true;
  }
  run(*step, start, stop);
  if (!had_started) show(step);
}

void Trace::apply_member(const control::Vertex& vertex, Batch& batch) {
  const auto& told = vertex.progressgroup();
  auto group = find(told.id());
  if (group != nullptr && !group->is_group) return;
  if (group == nullptr) {
    group = add(told.id());
    group->is_group = group->hidden = true;
    size_t before = cost_of_texts(*group);
    group->name = cut(told.name());
    charge(*group, before, cost_of_texts(*group));
  }
  if (std::find(batch.groups.begin(), batch.groups.end(), group) == batch.groups.end())
    batch.groups.push_back(group);
  auto step = find(vertex.digest());
  if (step == nullptr) step = add(vertex.digest());
  if (step->group.empty()) {
    step->group = group->digest;
    group->members_.push_back(step);
  }
  step->weak = told.weak();
  take(vertex, *step);
  step->last_start_ = time_of(vertex.has_started(), vertex.started());
  step->last_stop_ = time_of(vertex.has_completed(), vertex.completed());
  if (step->last_start_ != kNever) run(*step, step->last_start_, step->last_stop_);
}

// A group is what its members are together: cached when all are, failed by the first that did.
void Trace::refresh(const std::shared_ptr<Step>& group, Batch& batch) {
  bool was_hidden = group->hidden, changed = false, cached = true;
  std::string error = group->error;
  for (const auto& member : group->members_) {
    Time start = member->last_start_;
    if (start != kNever) {
      auto known = group->runs.find(start);
      if (known == group->runs.end() || known->second != member->last_stop_) changed = true;
      run(*group, start, member->last_stop_);
      if (!member->weak) group->hidden = false;
    }
    cached = cached && member->cached;
    if (error.empty())
      error = member->error;
    else
      group->hidden = false;
  }
  changed = changed || group->cached != cached || group->error != error;
  size_t before = cost_of_texts(*group);
  group->cached = cached;
  group->error = error;
  charge(*group, before, cost_of_texts(*group));
  if (group->hidden) return;
  if (was_hidden) {
    changed = true;
    show(group);
  }
  if (!changed) return;
  Change& change = batch.of(group);
  change.events += 1;
  change.fresh = true;
}

void Trace::apply(const control::VertexStatus& status, Step& step) {
  StepStatus now;
  now.id = cut(status.id());
  now.name = cut(status.name());
  now.current = status.current();
  now.total = status.total();
  now.timestamp = time_of(status.timestamp());
  now.started = time_of(status.has_started(), status.started());
  now.completed = time_of(status.has_completed(), status.completed());
  auto [it, added] =
      step.status_ids_.try_emplace(now.id, step.dropped_statuses + step.statuses.size());
  if (added) step.statuses.emplace_back();
  StepStatus& known = step.statuses[it->second - step.dropped_statuses];
  if (now.started != kNever && known.started == kNever) {
    if (std::find(step.begun.begin(), step.begun.end(), it->second) == step.begun.end())
      step.begun.push_back(it->second);
  }
  charge(step, added ? 0 : cost(known), cost(now));
  known = std::move(now);
  while (step.statuses.size() > limits_.statuses) {
    charge(step, cost(step.statuses.front()), 0);
    step.status_ids_.erase(step.statuses.front().id);
    std::erase(step.begun, step.dropped_statuses);
    step.statuses.pop_front();
    ++step.dropped_statuses;
  }
}

void Trace::apply(const control::VertexStatus& status, Batch& batch) {
  auto step = find(status.vertex());
  if (step == nullptr) return;
  saw(time_of(status.has_timestamp(), status.timestamp()));
  apply(status, *step);
  if (auto group = find(step->group); group != nullptr && group->is_group) {
    apply(status, *group);
    step = group;
  }
  Change& change = batch.of(step);
  change.events += 1;
  change.fresh = true;
  change.statuses.push_back(cut(status.id()));
}

void Trace::apply(const control::VertexWarning& message, Batch& batch) {
  auto step = find(message.vertex());
  if (step == nullptr) return;
  StepWarning warning;
  warning.message = cut(message.short_());
  warning.url = cut(message.url());
  warning.level = static_cast<int32_t>(message.level());
  warning.source.filename = cut(message.info().filename());
  warning.source.language = cut(message.info().language());
  // A file that is cut would show wrong lines.
  if (message.info().data().size() <= limits_.bytes / 16)
    warning.source.data = message.info().data();
  for (const auto& detail : message.detail()) {
    if (warning.details.size() >= limits_.warnings) break;
    warning.details.push_back(cut(detail));
  }
  for (const auto& range : message.ranges()) {
    if (warning.source.ranges.size() >= limits_.warnings) break;
    warning.source.ranges.push_back({range.start().line(), range.start().character(),
                                     range.end().line(), range.end().character()});
  }
  auto keep = [&](std::deque<StepWarning>& list, size_t& bytes) {
    for (const auto& known : list)
      if (same(known, warning)) return false;
    list.push_back(warning);
    bytes += cost(warning);
    return true;
  };
  if (keep(warnings_, bytes_)) {
    if (warnings_.size() > limits_.warnings) {
      bytes_ -= cost(warnings_.front());
      warnings_.pop_front();
    }
  }
  size_t more = 0;
  if (keep(step->warnings, more)) {
    charge(*step, 0, more);
    if (step->warnings.size() > limits_.warnings) {
      charge(*step, cost(step->warnings.front()), 0);
      step->warnings.pop_front();
      ++step->dropped_warnings;
    }
  }
  if (auto group = find(step->group); group != nullptr && group->is_group) step = group;
  Change& change = batch.of(step);
  change.events += 1;
  change.warnings.push_back(std::move(warning.message));
}

void Trace::apply(const control::VertexLog& log, Batch& batch) {
  auto step = find(log.vertex());
  if (step == nullptr) return;
  Time time = time_of(log.timestamp());
  saw(time);
  append_log(*step, log.msg(), time);
  if (auto group = find(step->group); group != nullptr && group->is_group) {
    append_log(*group, log.msg(), time);
    step = group;
  }
  Change& change = batch.of(step);
  change.events += 1;
  change.fresh = true;
  change.logs.push_back({log.msg(), time});
}

void Trace::append_log(Step& step, std::string_view data, Time time) {
  LogTail& log = step.log;
  size_t before = log.bytes;
  while (!data.empty()) {
    size_t end = data.find('\n');
    std::string_view line = data.substr(0, end);
    if (!log.partial) {
      log.lines.emplace_back();
      log.times.push_back(time);
      log.bytes += sizeof(std::string);
    }
    std::string& last = log.lines.back();
    size_t room = limits_.text - std::min(limits_.text, last.size());
    last += line.substr(0, room);
    log.bytes += std::min(line.size(), room);
    log.partial = end == std::string_view::npos;
    data.remove_prefix(log.partial ? data.size() : end + 1);
    while (log.lines.size() > 1 &&
           (log.lines.size() > limits_.log_lines || log.bytes > limits_.log_bytes)) {
      log.bytes -= log.lines.front().size() + sizeof(std::string);
      log.lines.pop_front();
      log.times.pop_front();
      ++log.dropped;
    }
  }
  charge(step, before, log.bytes);
}

std::vector<std::shared_ptr<Step>> Trace::cancel() {
  std::vector<std::shared_ptr<Step>> canceled;
  for (const auto& step : steps_) {
    if (!step->started() || step->completed()) continue;
    for (auto& [start, stop] : step->runs)
      if (stop == kNever) stop = std::max(start, now_);
    step->intervals = merge_intervals(step->runs);
    if (step->error.empty()) step->error = kCanceled;
    if (step->group.empty() && !step->hidden) canceled.push_back(step);
  }
  return canceled;
}

// Down to nine tenths of what is allowed, so that it is seldom done: what is complete goes first.
void Trace::drop_oldest() {
  auto enough = [&] {
    return steps_.size() <= limits_.steps - limits_.steps / 10 &&
           bytes_ <= limits_.bytes - limits_.bytes / 10;
  };
  for (bool any : {false, true}) {
    for (const auto& step : steps_) {
      if (enough()) break;
      if (step->dropped || !(any || step->completed())) continue;
      step->dropped = true;
      bytes_ -= step->bytes_;
      step->members_.clear();
      by_digest_.erase(step->digest);
      ++dropped_steps_;
    }
    auto dropped = [](const std::shared_ptr<Step>& step) { return step->dropped; };
    std::erase_if(steps_, dropped);
    std::erase_if(shown_, dropped);
    if (enough()) return;
  }
}

}  // namespace depot::progress

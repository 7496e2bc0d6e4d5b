#include "solve/stats.h"

#include <google/protobuf/timestamp.pb.h>
#include <moby/buildkit/v1/control.pb.h>

#include <algorithm>
#include <string_view>

namespace depot::solve {
namespace {

// What the dockerfile frontend and the exporters call these steps; nothing else tells them apart.
bool loads_context(std::string_view name) {
  return name == "[internal] load build context" ||
         (name.starts_with("[context ") && name.find("] load from client") != name.npos);
}

int64_t nanoseconds(const ::google::protobuf::Timestamp& time) {
  // Seconds beyond any real clock are of no use to anybody.
  int64_t seconds = std::clamp<int64_t>(time.seconds(), 0, int64_t{1} << 33);
  return seconds * 1'000'000'000 + std::clamp<int32_t>(time.nanos(), 0, 999'999'999);
}

}  // namespace

void StatsFold::Span::widen(const ::google::protobuf::Timestamp* started,
                            const ::google::protobuf::Timestamp* completed) {
  if (started) {
    int64_t time = nanoseconds(*started);
    begin = begin ? std::min(*begin, time) : time;
  }
  if (completed) {
    int64_t time = nanoseconds(*completed);
    end = end ? std::max(*end, time) : time;
  }
}

Stats::Time StatsFold::Span::length() const {
  if (!begin || !end) return Stats::Time(0);
  return Stats::Time(std::max<int64_t>(*end - *begin, 0));
}

void StatsFold::add(const ::moby::buildkit::v1::StatusResponse& batch) {
  for (const auto& vertex : batch.vertexes()) {
    if (steps_.size() >= kMaxSteps && !steps_.contains(vertex.digest())) continue;
    Step& step = steps_[vertex.digest()];
    step.cached |= vertex.cached();
    step.completed |= vertex.has_completed();
    Span* span = loads_context(vertex.name())                 ? &context_
                 : vertex.name().starts_with("exporting to ") ? &exporting_
                                                              : nullptr;
    if (span)
      span->widen(vertex.has_started() ? &vertex.started() : nullptr,
                  vertex.has_completed() ? &vertex.completed() : nullptr);
  }
  for (const auto& status : batch.statuses()) {
    if (!status.id().starts_with("pushing ")) continue;
    pushing_.widen(status.has_started() ? &status.started() : nullptr,
                   status.has_completed() ? &status.completed() : nullptr);
  }
}

Stats StatsFold::stats() const {
  Stats out;
  out.context = context_.length();
  out.exporting = exporting_.length();
  out.pushing = pushing_.length();
  out.steps = static_cast<int32_t>(steps_.size());
  for (const auto& [digest, step] : steps_) {
    out.cached_steps += step.cached;
    out.completed_steps += step.completed;
  }
  return out;
}

}  // namespace depot::solve

#include "solve/own_step.h"

#include <moby/buildkit/v1/control.pb.h>

#include <utility>

#include "base/id.h"

namespace depot::solve {
namespace {

using Clock = std::chrono::system_clock;

void fill(::google::protobuf::Timestamp& time, Clock::time_point at) {
  auto since = std::chrono::duration_cast<std::chrono::nanoseconds>(at.time_since_epoch()).count();
  time.set_seconds(since / 1000000000);
  time.set_nanos(static_cast<int32_t>(since % 1000000000));
}

Event batch_of(const OwnStep& step, bool over, const std::string& error) {
  ::moby::buildkit::v1::StatusResponse batch;
  auto* vertex = batch.add_vertexes();
  vertex->set_digest(step.digest);
  vertex->set_name(step.name);
  vertex->set_error(error);
  fill(*vertex->mutable_started(), step.started);
  if (over) fill(*vertex->mutable_completed(), Clock::now());
  Event event;
  event.kind = Event::Kind::kStatus;
  event.bytes = batch.SerializeAsString();
  return event;
}

}  // namespace

OwnStep begin_step(std::string name) {
  return {"sha256:" + base::random_hex(32), std::move(name), Clock::now()};
}

Event step_begun(const OwnStep& step) {
  return batch_of(step, false, "");
}

Event step_ended(const OwnStep& step, const std::string& error) {
  return batch_of(step, true, error);
}

}  // namespace depot::solve

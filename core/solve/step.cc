#include "solve/step.h"

#include <moby/buildkit/v1/control.pb.h>

#include <chrono>
#include <utility>

#include "base/id.h"

namespace depot::solve {
namespace {

using base::Status;
namespace control = ::moby::buildkit::v1;

// More than any image has.
constexpr size_t kMostLayers = 1000;

void set_now(google::protobuf::Timestamp* time) {
  auto since = std::chrono::system_clock::now().time_since_epoch();
  auto nanoseconds = std::chrono::duration_cast<std::chrono::nanoseconds>(since).count();
  time->set_seconds(nanoseconds / 1000000000);
  time->set_nanos(static_cast<int32_t>(nanoseconds % 1000000000));
}

}  // namespace

Step::Step(std::string name, std::string layers, std::function<void(std::string)> push)
    : name_(std::move(name)),
      layers_word_(std::move(layers)),
      digest_("sha256:" + base::random_hex(32)),
      push_(std::move(push)) {}

void Step::progress(const load::Progress& progress) {
  control::StatusResponse batch;
  auto* status = batch.add_statuses();
  status->set_id(layers_word_ + progress.id);
  status->set_name(status->id());
  status->set_vertex(digest_);
  status->set_current(progress.current);
  status->set_total(progress.total);
  if (layers_.size() >= kMostLayers && !layers_.contains(progress.id)) return;
  auto& began = layers_[progress.id];
  if (began.seconds() == 0) set_now(&began);
  *status->mutable_started() = began;
  set_now(status->mutable_timestamp());
  if (progress.total > 0 && progress.current >= progress.total)
    set_now(status->mutable_completed());
  push_(batch.SerializeAsString());
}

void Step::push_vertex(const Status* outcome) {
  control::StatusResponse batch;
  auto* vertex = batch.add_vertexes();
  vertex->set_digest(digest_);
  vertex->set_name(name_);
  if (outcome == nullptr) set_now(&started_);
  *vertex->mutable_started() = started_;
  if (outcome != nullptr) set_now(vertex->mutable_completed());
  if (outcome != nullptr && !outcome->ok()) vertex->set_error(outcome->message());
  push_(batch.SerializeAsString());
}

}  // namespace depot::solve

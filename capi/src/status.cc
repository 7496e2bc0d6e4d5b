#include "status.h"

#include <moby/buildkit/v1/control.pb.h>

#include <algorithm>

#include "depot/error.h"
#include "hand_out.h"
#include "progress/error_text.h"
#include "progress/rawjson.h"

using depot::capi::hand_out;

namespace {

int64_t nanoseconds(bool has, const google::protobuf::Timestamp& stamp) {
  constexpr int64_t kMostSeconds = INT64_MAX / 1'000'000'000 - 1;  // the builder's word
  if (!has) return 0;
  return std::clamp(stamp.seconds(), -kMostSeconds, kMostSeconds) * 1'000'000'000 +
         std::clamp(stamp.nanos(), 0, 999'999'999);
}

// What the structs were in 0.1.0: the least that a caller can have.
constexpr size_t kFirstVertex = DEPOT_SIZE_TO(depot_vertex, progress_group_name);
constexpr size_t kFirstStatus = DEPOT_SIZE_TO(depot_vertex_status, completed);
constexpr size_t kFirstLog = DEPOT_SIZE_TO(depot_vertex_log, reserved);
constexpr size_t kFirstWarning = DEPOT_SIZE_TO(depot_vertex_warning, reserved);
constexpr size_t kFirstCredentialUse = DEPOT_SIZE_TO(depot_credential_use, receiver);

const char* const* strings(const depot_status* status,
                           const google::protobuf::RepeatedPtrField<std::string>& list) {
  auto& out = status->string_lists.emplace_back();
  for (const auto& text : list) out.push_back(text.c_str());
  return out.data();
}

// Nothing escapes into C: without memory for its lists an entry is not handed out.
template <class F>
int32_t guarded(F fill) noexcept {
  try {
    return fill();
  } catch (...) {
    return 0;
  }
}

}  // namespace

size_t depot_status_vertex_count(const depot_status* status) {
  return status == nullptr ? 0 : static_cast<size_t>(status->batch->vertexes_size());
}
size_t depot_status_status_count(const depot_status* status) {
  return status == nullptr ? 0 : static_cast<size_t>(status->batch->statuses_size());
}
size_t depot_status_log_count(const depot_status* status) {
  return status == nullptr ? 0 : static_cast<size_t>(status->batch->logs_size());
}
size_t depot_status_warning_count(const depot_status* status) {
  return status == nullptr ? 0 : static_cast<size_t>(status->batch->warnings_size());
}

int32_t depot_status_vertex(const depot_status* status, size_t index, depot_vertex* out) {
  if (index >= depot_status_vertex_count(status)) return 0;
  return guarded([&]() -> int32_t {
    const auto& from = status->batch->vertexes(static_cast<int>(index));
    depot_vertex vertex{};
    vertex.digest = from.digest().c_str();
    vertex.name = from.name().c_str();
    vertex.error = from.error().c_str();
    vertex.started = nanoseconds(from.has_started(), from.started());
    vertex.completed = nanoseconds(from.has_completed(), from.completed());
    vertex.cached = from.cached() ? 1 : 0;
    vertex.input_count = static_cast<size_t>(from.inputs_size());
    vertex.inputs = strings(status, from.inputs());
    vertex.progress_group_id = from.progressgroup().id().c_str();
    vertex.progress_group_name = from.progressgroup().name().c_str();
    return hand_out(vertex, kFirstVertex, out);
  });
}

int32_t depot_status_status(const depot_status* status, size_t index, depot_vertex_status* out) {
  if (index >= depot_status_status_count(status)) return 0;
  const auto& from = status->batch->statuses(static_cast<int>(index));
  depot_vertex_status entry{};
  entry.id = from.id().c_str();
  entry.vertex = from.vertex().c_str();
  entry.name = from.name().c_str();
  entry.current = from.current();
  entry.total = from.total();
  entry.timestamp = nanoseconds(from.has_timestamp(), from.timestamp());
  entry.started = nanoseconds(from.has_started(), from.started());
  entry.completed = nanoseconds(from.has_completed(), from.completed());
  return hand_out(entry, kFirstStatus, out);
}

int32_t depot_status_log(const depot_status* status, size_t index, depot_vertex_log* out) {
  if (index >= depot_status_log_count(status)) return 0;
  const auto& from = status->batch->logs(static_cast<int>(index));
  depot_vertex_log log{};
  log.vertex = from.vertex().c_str();
  log.data = reinterpret_cast<const uint8_t*>(from.msg().data());
  log.data_size = from.msg().size();
  log.timestamp = nanoseconds(from.has_timestamp(), from.timestamp());
  log.stream = static_cast<int32_t>(from.stream());
  return hand_out(log, kFirstLog, out);
}

int32_t depot_status_warning(const depot_status* status, size_t index, depot_vertex_warning* out) {
  if (index >= depot_status_warning_count(status)) return 0;
  return guarded([&]() -> int32_t {
    const auto& from = status->batch->warnings(static_cast<int>(index));
    depot_vertex_warning warning{};
    warning.vertex = from.vertex().c_str();
    warning.message = from.short_().c_str();
    warning.url = from.url().c_str();
    warning.source_file = from.info().filename().c_str();
    warning.detail_count = static_cast<size_t>(from.detail_size());
    warning.details = strings(status, from.detail());
    auto& ranges = status->range_lists.emplace_back();
    depot::base::SourceLocation source{from.info().filename(), from.info().data(), "", {}};
    for (const auto& range : from.ranges()) {
      ranges.push_back({range.start().line(), range.start().character(), range.end().line(),
                        range.end().character()});
      source.ranges.push_back({range.start().line(), range.start().character(), range.end().line(),
                               range.end().character()});
    }
    warning.range_count = ranges.size();
    warning.ranges = ranges.data();
    warning.level = static_cast<int32_t>(from.level());
    warning.excerpt =
        status->excerpts.emplace_back(depot::progress::source_excerpt(source)).c_str();
    return hand_out(warning, kFirstWarning, out);
  });
}

size_t depot_status_credential_use_count(const depot_status* status) {
  return status == nullptr ? 0 : status->credential_uses->size();
}

int32_t depot_status_credential_use(const depot_status* status, size_t index,
                                    depot_credential_use* out) {
  if (index >= depot_status_credential_use_count(status)) return 0;
  const auto& from = (*status->credential_uses)[index];
  depot_credential_use use{};
  use.host = from.host.c_str();
  use.receiver = from.receiver.c_str();
  return hand_out(use, kFirstCredentialUse, out);
}

const char* depot_status_json(const depot_status* status) {
  if (status == nullptr) return "{}";
  try {
    if (status->json.empty()) status->json = depot::progress::rawjson(*status->batch);
    return status->json.c_str();
  } catch (...) {
    return "{}";
  }
}

const uint8_t* depot_status_bytes(const depot_status* status, size_t* size) {
  static const std::string kEmpty;
  const std::string& bytes = status == nullptr ? kEmpty : *status->bytes;
  if (size != nullptr) *size = bytes.size();
  return reinterpret_cast<const uint8_t*>(bytes.data());
}

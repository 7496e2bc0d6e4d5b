#include "solve/result.h"

#include "hand_out.h"
#include "handles.h"

namespace {

const char* value(const depot_result* result, const char* key) {
  if (result == nullptr || key == nullptr) return "";
  try {
    return depot::solve::value_of(result->result.response, key).c_str();
  } catch (...) {  // no memory to look it up with
    return "";
  }
}

}  // namespace

void depot_result_free(depot_result* result) {
  delete result;
}

const char* depot_result_digest(const depot_result* result) {
  return value(result, "containerimage.digest");
}
const char* depot_result_config_digest(const depot_result* result) {
  return value(result, "containerimage.config.digest");
}
const char* depot_result_descriptor(const depot_result* result) {
  return result == nullptr ? "" : result->descriptor.c_str();
}
const char* depot_result_image_name(const depot_result* result) {
  return value(result, "image.name");
}
const char* depot_result_ref(const depot_result* result) {
  return result == nullptr ? "" : result->result.ref.c_str();
}
const char* depot_result_build_id(const depot_result* result) {
  return result == nullptr ? "" : result->build_id.c_str();
}
const char* depot_result_build_url(const depot_result* result) {
  return result == nullptr ? "" : result->build_url.c_str();
}
const char* depot_result_get(const depot_result* result, const char* key) {
  return value(result, key);
}

size_t depot_result_count(const depot_result* result) {
  return result == nullptr ? 0 : result->keys.size();
}
const char* depot_result_key(const depot_result* result, size_t index) {
  return index < depot_result_count(result) ? result->keys[index]->c_str() : "";
}
const char* depot_result_value(const depot_result* result, size_t index) {
  return index < depot_result_count(result) ? value(result, result->keys[index]->c_str()) : "";
}
const char* depot_result_metadata_json(const depot_result* result) {
  return result == nullptr ? "{}" : result->metadata.c_str();
}

size_t depot_result_sent_count(const depot_result* result) {
  return result == nullptr ? 0 : result->sent.size();
}
const char* depot_result_sent_local(const depot_result* result, size_t index) {
  return index < depot_result_sent_count(result) ? result->sent[index].local.c_str() : "";
}
const char* depot_result_sent_path(const depot_result* result, size_t index) {
  return index < depot_result_sent_count(result) ? result->sent[index].file.path.c_str() : "";
}
uint64_t depot_result_sent_size(const depot_result* result, size_t index) {
  return index < depot_result_sent_count(result) ? result->sent[index].file.size : 0;
}
int32_t depot_result_sent_transferred(const depot_result* result, size_t index) {
  return index < depot_result_sent_count(result) && result->sent[index].file.transferred;
}

int32_t depot_result_stats(const depot_result* result, depot_stats* out) {
  if (result == nullptr) return 0;
  const auto& from = result->result.stats;
  depot_stats stats{};
  stats.acquire_ns = from.acquire.count();
  stats.connect_ns = from.connect.count();
  stats.solve_ns = from.solve.count();
  stats.context_ns = from.context.count();
  stats.export_ns = from.exporting.count();
  stats.push_ns = from.pushing.count();
  stats.steps = from.steps;
  stats.cached_steps = from.cached_steps;
  stats.completed_steps = from.completed_steps;
  stats.context_entries = from.context_entries;
  stats.context_files = from.context_files;
  stats.context_bytes = from.context_bytes;
  stats.sent_bytes = from.sent_bytes;
  stats.export_bytes = from.export_bytes;
  return depot::capi::hand_out(stats, DEPOT_SIZE_TO(depot_stats, export_bytes), out);
}

size_t depot_result_attestation_count(const depot_result* result) {
  return result == nullptr ? 0 : result->result.attestations.size();
}

int32_t depot_result_attestation(const depot_result* result, size_t index, depot_attestation* out) {
  if (index >= depot_result_attestation_count(result)) return 0;
  const auto& from = result->result.attestations[index];
  depot_attestation attestation{};
  attestation.type = from.type.c_str();
  attestation.platform = from.platform.c_str();
  attestation.digest = from.digest.c_str();
  attestation.bytes = from.size;
  return depot::capi::hand_out(attestation, DEPOT_SIZE_TO(depot_attestation, bytes), out);
}

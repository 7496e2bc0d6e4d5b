#include "solve/result.h"

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

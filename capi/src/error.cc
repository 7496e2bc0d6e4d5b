#include "guard.h"
#include "handles.h"
#include "progress/error_text.h"

namespace depot::capi {

depot_code export_status(const base::Status& status, depot_error** error) noexcept {
  if (status.ok()) return DEPOT_OK;
  auto code = static_cast<depot_code>(status.code());
  if (error == nullptr) return code;
  try {
    std::vector<std::string> excerpts;
    for (const auto& source : status.error().sources)
      excerpts.push_back(progress::source_excerpt(source));
    *error = new depot_error{status, progress::error_text(status.error()), std::move(excerpts)};
  } catch (...) {
    *error = nullptr;  // no memory for the story; the code is told
  }
  return code;
}

namespace {

const base::Error& error_of(const depot_error* error) {
  static const base::Error* const kNone = [] {
    auto* none = new base::Error;
    none->code = base::Code::kOk;
    return none;
  }();
  return error == nullptr ? *kNone : error->status.error();
}

const base::SourceLocation* source_of(const depot_error* error, size_t index) {
  const auto& sources = error_of(error).sources;
  return index < sources.size() ? &sources[index] : nullptr;
}

const uint8_t* bytes_of(const std::string& text, size_t* size) {
  if (size != nullptr) *size = text.size();
  return reinterpret_cast<const uint8_t*>(text.data());
}

const std::string kEmpty;

}  // namespace
}  // namespace depot::capi

using depot::capi::bytes_of;
using depot::capi::error_of;
using depot::capi::source_of;

const char* depot_code_name(depot_code code) {
  return depot::base::code_name(static_cast<depot::base::Code>(code)).data();
}
const char* depot_hop_name(depot_hop hop) {
  return depot::base::hop_name(static_cast<depot::base::Hop>(hop)).data();
}

void depot_error_free(depot_error* error) {
  delete error;
}

depot_code depot_error_code(const depot_error* error) {
  return static_cast<depot_code>(error_of(error).code);
}
depot_hop depot_error_hop(const depot_error* error) {
  return static_cast<depot_hop>(error_of(error).hop);
}
const char* depot_error_message(const depot_error* error) {
  return error_of(error).message.c_str();
}
const char* depot_error_hint(const depot_error* error) {
  return error_of(error).hint.c_str();
}
int32_t depot_error_retryable(const depot_error* error) {
  return error_of(error).retryable ? 1 : 0;
}
const char* depot_error_vertex_digest(const depot_error* error) {
  return error_of(error).vertex_digest.c_str();
}
const char* depot_error_vertex_name(const depot_error* error) {
  return error_of(error).vertex_name.c_str();
}
int32_t depot_error_exit_code(const depot_error* error) {
  return error_of(error).exit_code;
}
const char* depot_error_log_tail(const depot_error* error) {
  return error_of(error).log_tail.c_str();
}
int32_t depot_error_user_code(const depot_error* error) {
  return error_of(error).user_code;
}
const char* depot_error_text(const depot_error* error) {
  return error == nullptr ? "" : error->text.c_str();
}

size_t depot_error_source_count(const depot_error* error) {
  return error_of(error).sources.size();
}
const char* depot_error_source_file(const depot_error* error, size_t source) {
  const auto* location = source_of(error, source);
  return location == nullptr ? "" : location->filename.c_str();
}
const uint8_t* depot_error_source_data(const depot_error* error, size_t source, size_t* size) {
  const auto* location = source_of(error, source);
  return bytes_of(location == nullptr ? depot::capi::kEmpty : location->data, size);
}
const char* depot_error_source_excerpt(const depot_error* error, size_t source) {
  if (error == nullptr || source >= error->excerpts.size()) return "";
  return error->excerpts[source].c_str();
}
size_t depot_error_source_range_count(const depot_error* error, size_t source) {
  const auto* location = source_of(error, source);
  return location == nullptr ? 0 : location->ranges.size();
}
int32_t depot_error_source_range(const depot_error* error, size_t source, size_t range,
                                 depot_range* out) {
  const auto* location = source_of(error, source);
  if (location == nullptr || range >= location->ranges.size() || out == nullptr) return 0;
  const auto& from = location->ranges[range];
  *out = {from.start_line, from.start_character, from.end_line, from.end_character};
  return 1;
}

size_t depot_error_detail_count(const depot_error* error) {
  return error_of(error).details.size();
}
const char* depot_error_detail_type(const depot_error* error, size_t detail) {
  const auto& details = error_of(error).details;
  return detail < details.size() ? details[detail].type_url.c_str() : "";
}
const uint8_t* depot_error_detail_bytes(const depot_error* error, size_t detail, size_t* size) {
  const auto& details = error_of(error).details;
  return bytes_of(detail < details.size() ? details[detail].value : depot::capi::kEmpty, size);
}

// One status batch, as a callback sees it.
#ifndef DEPOT_STATUS_HPP
#define DEPOT_STATUS_HPP

#include <cstddef>
#include <cstdint>
#include <string_view>
#include <vector>

#include "depot/status.h"

namespace depot {

/// Borrowed: it, and everything it gives out, lives until the callback returns. The structs are
/// those of status.h.
class Status {
 public:
  explicit Status(const depot_status* raw) : raw_(raw) {}

  std::vector<depot_vertex> vertices() const {
    return list(depot_status_vertex_count(raw_), depot_status_vertex);
  }
  std::vector<depot_vertex_status> statuses() const {
    return list(depot_status_status_count(raw_), depot_status_status);
  }
  std::vector<depot_vertex_log> logs() const {
    return list(depot_status_log_count(raw_), depot_status_log);
  }
  std::vector<depot_vertex_warning> warnings() const {
    return list(depot_status_warning_count(raw_), depot_status_warning);
  }

  std::vector<depot_credential_use> credential_uses() const {
    return list(depot_status_credential_use_count(raw_), depot_status_credential_use);
  }

  /// One line, no newline: what `buildctl --progress=rawjson` prints.
  std::string_view json() const { return depot_status_json(raw_); }
  /// moby.buildkit.v1.StatusResponse in protobuf encoding, as it came.
  std::string_view bytes() const {
    std::size_t size = 0;
    const std::uint8_t* data = depot_status_bytes(raw_, &size);
    return {reinterpret_cast<const char*>(data), size};
  }

  const depot_status* get() const { return raw_; }

 private:
  template <class Entry>
  std::vector<Entry> list(std::size_t count, std::int32_t (*get_entry)(const depot_status*,
                                                                       std::size_t, Entry*)) const {
    std::vector<Entry> out(count);
    for (std::size_t i = 0; i < count; ++i) {
      out[i].size = sizeof(Entry);
      get_entry(raw_, i, &out[i]);
    }
    return out;
  }

  const depot_status* raw_;
};

/// The bytes of a log entry; cut anywhere, also within a character.
inline std::string_view text(const depot_vertex_log& log) {
  return {reinterpret_cast<const char*>(log.data), log.data_size};
}

}  // namespace depot

#endif

// What came out of a solve: Result.
#ifndef DEPOT_RESULT_HPP
#define DEPOT_RESULT_HPP

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <vector>

#include "depot/call.hpp"
#include "depot/error.hpp"
#include "depot/result.h"

namespace depot {

/// A file that a local directory sent; `transferred`: its content, which the builder had not.
struct SentFile {
  std::string local;
  std::string path;
  std::uint64_t size;
  bool transferred;
};

/// What a build said of its making; its blob is in the builder (Machine::read_blob()).
struct Attestation {
  std::string type;      // "https://slsa.dev/provenance/v1"
  std::string platform;  // empty when the build has one for all
  std::string digest;
  std::int64_t size;
};

/// How long the parts of a build took, and how much was moved; see depot_stats.
struct Stats {
  std::chrono::nanoseconds acquire{0}, connect{0}, solve{0};
  std::chrono::nanoseconds context{0}, exporting{0}, pushing{0};  // parts of solve
  std::int32_t steps = 0, cached_steps = 0, completed_steps = 0;
  std::uint64_t context_entries = 0, context_files = 0, context_bytes = 0;
  std::uint64_t sent_bytes = 0, export_bytes = 0;
};

/// What a solve gave. Everything is copied out of it.
class Result {
 public:
  explicit Result(depot_result* raw) : raw_(raw) {}

  /// "sha256:<hex>" of the image or index; empty when no image was exported.
  std::string digest() const { return depot_result_digest(raw_.get()); }
  std::string config_digest() const { return depot_result_config_digest(raw_.get()); }
  /// OCI descriptor, JSON.
  std::string descriptor() const { return depot_result_descriptor(raw_.get()); }
  std::string image_name() const { return depot_result_image_name(raw_.get()); }
  std::string ref() const { return depot_result_ref(raw_.get()); }
  std::string build_id() const { return depot_result_build_id(raw_.get()); }
  std::string build_url() const { return depot_result_build_url(raw_.get()); }
  /// One value of the exporter response; empty when absent.
  std::string get(const std::string& key) const {
    return depot_result_get(raw_.get(), key.c_str());
  }
  std::map<std::string, std::string> response() const {
    std::map<std::string, std::string> out;
    for (std::size_t i = 0; i < depot_result_count(raw_.get()); ++i)
      out.emplace(depot_result_key(raw_.get(), i), depot_result_value(raw_.get(), i));
    return out;
  }
  /// What `--metadata-file` of docker buildx writes.
  std::string metadata_json() const { return depot_result_metadata_json(raw_.get()); }

  /// The answer to the request's call; its `method` is empty for a build.
  Call call() const { return detail::call_of(raw_.get()); }
  /// With SolveRequest::set_record_context(): by local directory and path.
  std::vector<SentFile> sent_files() const {
    std::vector<SentFile> files;
    for (std::size_t i = 0; i < depot_result_sent_count(raw_.get()); ++i)
      files.push_back({depot_result_sent_local(raw_.get(), i),
                       depot_result_sent_path(raw_.get(), i), depot_result_sent_size(raw_.get(), i),
                       depot_result_sent_transferred(raw_.get(), i) != 0});
    return files;
  }

  /// With SolveRequest::set_record_provenance().
  std::vector<Attestation> attestations() const {
    std::vector<Attestation> out;
    for (std::size_t i = 0; i < depot_result_attestation_count(raw_.get()); ++i) {
      depot_attestation raw{};
      raw.size = sizeof raw;
      depot_result_attestation(raw_.get(), i, &raw);
      out.push_back({raw.type, raw.platform, raw.digest, raw.bytes});
    }
    return out;
  }
  Stats stats() const {
    depot_stats raw{};
    raw.size = sizeof raw;
    depot_result_stats(raw_.get(), &raw);
    Stats out;
    out.acquire = std::chrono::nanoseconds(raw.acquire_ns);
    out.connect = std::chrono::nanoseconds(raw.connect_ns);
    out.solve = std::chrono::nanoseconds(raw.solve_ns);
    out.context = std::chrono::nanoseconds(raw.context_ns);
    out.exporting = std::chrono::nanoseconds(raw.export_ns);
    out.pushing = std::chrono::nanoseconds(raw.push_ns);
    out.steps = raw.steps;
    out.cached_steps = raw.cached_steps;
    out.completed_steps = raw.completed_steps;
    out.context_entries = raw.context_entries;
    out.context_files = raw.context_files;
    out.context_bytes = raw.context_bytes;
    out.sent_bytes = raw.sent_bytes;
    out.export_bytes = raw.export_bytes;
    return out;
  }

  const depot_result* get() const noexcept { return raw_.get(); }

 private:
  detail::Handle<depot_result, depot_result_free> raw_;
};

}  // namespace depot

#endif

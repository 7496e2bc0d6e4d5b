#include "builder/provenance.h"

#include <nlohmann/json.hpp>
#include <utility>

#include "base/json_depth.h"

namespace depot::builder {
namespace {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;
using Json = nlohmann::ordered_json;  // what is passed on keeps the builder's order

constexpr std::string_view kPrefix = "https://slsa.dev/provenance/";
constexpr const char* kSlsa1 = "https://slsa.dev/provenance/v1";
constexpr const char* kBuildType02 = "https://mobyproject.org/buildkit@v1";
constexpr size_t kMaxPredicate = 64 << 20;

// A member of an object; null when there is none.
const Json& member(const Json& object, const char* name) {
  static const Json* const kNull = new Json;
  if (!object.is_object()) return *kNull;
  auto found = object.find(name);
  return found == object.end() ? *kNull : *found;
}

void copy(Json& to, const char* as, const Json& value) {
  if (!value.is_null() && value != "" && value != false) to[as] = value;
}

Json metadata02(const Json& from) {
  Json to = Json::object();
  const Json& complete = member(from, "buildkit_completeness");
  copy(to, "buildInvocationID", member(from, "invocationId"));
  copy(to, "buildStartedOn", member(from, "startedOn"));
  copy(to, "buildFinishedOn", member(from, "finishedOn"));
  to["completeness"] = {
      {"parameters", member(complete, "request") == true},
      {"environment", true},
      {"materials", member(complete, "resolvedDependencies") == true},
  };
  to["reproducible"] = member(from, "buildkit_reproducible") == true;
  to["https://mobyproject.org/buildkit@v1#metadata"] = member(from, "buildkit_metadata");
  copy(to, "https://mobyproject.org/buildkit@v1#hermetic", member(from, "buildkit_hermetic"));
  return to;
}

// BuildKit's own mapping (solver/llbsolver/provenance/types).
Json to_slsa02(const Json& from) {
  const Json& definition = member(from, "buildDefinition");
  const Json& external = member(definition, "externalParameters");
  const Json& internal = member(definition, "internalParameters");
  const Json& source = member(external, "configSource");
  const Json& run = member(from, "runDetails");
  Json to = Json::object();
  to["builder"] = {{"id", member(member(run, "builder"), "id")}};
  to["buildType"] = kBuildType02;
  if (const Json& list = member(definition, "resolvedDependencies"); list.is_array()) {
    for (const auto& one : list) {
      Json material = Json::object();
      copy(material, "uri", member(one, "uri"));
      copy(material, "digest", member(one, "digest"));
      to["materials"].push_back(std::move(material));
    }
  }
  Json config = Json::object();
  copy(config, "uri", member(source, "uri"));
  copy(config, "digest", member(source, "digest"));
  copy(config, "entryPoint", member(source, "path"));
  // What the builder adds of its own stands beside the names that are known.
  Json environment = Json::object();
  environment["platform"] = member(internal, "builderPlatform");
  if (internal.is_object()) {
    for (const auto& [key, value] : internal.items()) {
      if (key != "builderPlatform" && key != "buildConfig" && key != "targetPlatform")
        copy(environment, key.c_str(), value);
    }
  }
  to["invocation"] = {{"configSource", std::move(config)},
                      {"parameters", member(external, "request")},
                      {"environment", std::move(environment)}};
  copy(to, "buildConfig", member(internal, "buildConfig"));
  const Json& metadata = member(run, "metadata");
  if (metadata.is_object()) to["metadata"] = metadata02(metadata);
  return to;
}

}  // namespace

Result<std::string> provenance_json(const std::string& predicate, const std::string& predicate_type,
                                    ProvenanceDetail detail) {
  Json parsed = base::json_is_shallow(predicate) ? Json::parse(predicate, nullptr, false)
                                                 : Json(Json::value_t::discarded);
  if (!parsed.is_object())
    return Status(Code::kInternal, Hop::kMachine, "a provenance attestation cannot be read");
  Json out = predicate_type == kSlsa1 ? to_slsa02(parsed) : std::move(parsed);
  if (detail == ProvenanceDetail::kMin) {
    out.erase("buildConfig");
    out.erase("metadata");
  }
  return out.dump(-1, ' ', false, Json::error_handler_t::replace);
}

Result<BuildAttestations> read_attestations(buildkit::Channel& channel,
                                            const std::vector<buildkit::Worker>& workers,
                                            const std::string& ref, ProvenanceDetail detail,
                                            const Ask& how) {
  HistoryOptions options;
  options.ref = ref;
  DEPOT_ASSIGN(auto records, list_history(channel, workers, options, how));
  BuildAttestations out;
  for (const auto& record : records) {
    for (const auto& blob : record.blobs) {
      if (blob.kind != Blob::Kind::kAttestation) continue;
      out.all.push_back(blob);
      if (!blob.type.starts_with(kPrefix) || out.provenance.contains(blob.platform)) continue;
      std::string predicate;
      DEPOT_TRY(read_blob(
          channel, blob.digest,
          [&](const std::string& bytes) -> Status {
            if (predicate.size() + bytes.size() > kMaxPredicate)
              return Status(Code::kResourceExhausted, Hop::kMachine,
                            "a provenance attestation is larger than 64 MiB");
            predicate += bytes;
            return {};
          },
          how));
      DEPOT_ASSIGN(out.provenance[blob.platform], provenance_json(predicate, blob.type, detail));
    }
  }
  return out;
}

}  // namespace depot::builder

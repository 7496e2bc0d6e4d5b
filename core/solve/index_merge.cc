#include "solve/index_merge.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/json_depth.h"
#include "content/digest.h"
#include "solve/go_json.h"
#include "solve/platform.h"

namespace depot::solve {
namespace {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;
using Json = nlohmann::ordered_json;  // members in the order of Go's structs
using Texts = std::map<std::string, std::string>;

constexpr size_t kMaxManifests = 10000;
constexpr char kDockerList[] = "application/vnd.docker.distribution.manifest.list.v2+json";
constexpr char kDockerManifest[] = "application/vnd.docker.distribution.manifest.v2+json";
constexpr char kSchema1[] = "application/vnd.docker.distribution.manifest.v1+prettyjws";
constexpr char kIndex[] = "application/vnd.oci.image.index.v1+json";
constexpr char kManifest[] = "application/vnd.oci.image.manifest.v1+json";

struct Platform {
  std::string architecture, os, os_version, variant;
  std::vector<std::string> os_features;
};

struct Descriptor {
  std::string media_type, digest, data, artifact_type;
  int64_t size = 0;
  std::vector<std::string> urls;
  Texts annotations;
  std::optional<Platform> platform;
};

Status senseless(const std::string& what) {
  return Status(Code::kDataLoss, Hop::kRegistry, what);
}

Result<Json> parse(const std::string& text, const std::string& what) {
  if (base::json_is_shallow(text)) {
    Json document = Json::parse(text, nullptr, /*allow_exceptions=*/false);
    if (document.is_object()) return document;
  }
  return senseless(what + " is no JSON object");
}

// Members that are not there leave `out` alone; false for one of another kind.
bool take(const Json& object, const char* name, std::string& out) {
  auto found = object.find(name);
  if (found == object.end() || found->is_null()) return true;
  if (!found->is_string()) return false;
  out = found->get<std::string>();
  return true;
}
bool take(const Json& object, const char* name, std::vector<std::string>& out) {
  auto found = object.find(name);
  if (found == object.end() || found->is_null()) return true;
  if (!found->is_array()) return false;
  for (const auto& one : *found) {
    if (!one.is_string()) return false;
    out.push_back(one.get<std::string>());
  }
  return true;
}
bool take(const Json& object, const char* name, Texts& out) {
  auto found = object.find(name);
  if (found == object.end() || found->is_null()) return true;
  if (!found->is_object()) return false;
  for (const auto& [key, value] : found->items()) {
    if (!value.is_string()) return false;
    out[key] = value.get<std::string>();
  }
  return true;
}

bool read(const Json& object, Platform& out) {
  return object.is_object() && take(object, "architecture", out.architecture) &&
         take(object, "os", out.os) && take(object, "os.version", out.os_version) &&
         take(object, "os.features", out.os_features) && take(object, "variant", out.variant);
}

Result<Descriptor> read_one(const Json& object) {
  Descriptor out;
  bool sound = object.is_object() && take(object, "mediaType", out.media_type) &&
               take(object, "digest", out.digest) && take(object, "urls", out.urls) &&
               take(object, "annotations", out.annotations) && take(object, "data", out.data) &&
               take(object, "artifactType", out.artifact_type);
  if (sound) {
    auto size = object.find("size");
    if (size != object.end() && size->is_number_integer())
      out.size = size->get<int64_t>();
    else if (size != object.end())
      sound = false;
    auto platform = object.find("platform");
    if (platform != object.end() && !platform->is_null())
      sound &= read(*platform, out.platform.emplace());
  }
  if (!sound || !content::Digest::parse(out.digest).ok())
    return senseless("a descriptor makes no sense");
  return out;
}

Json write(const Platform& platform) {
  Json out;
  out["architecture"] = platform.architecture;
  out["os"] = platform.os;
  if (!platform.os_version.empty()) out["os.version"] = platform.os_version;
  if (!platform.os_features.empty()) out["os.features"] = platform.os_features;
  if (!platform.variant.empty()) out["variant"] = platform.variant;
  return out;
}

Json write(const Descriptor& descriptor) {
  Json out;
  out["mediaType"] = descriptor.media_type;
  out["digest"] = descriptor.digest;
  out["size"] = descriptor.size;
  if (!descriptor.urls.empty()) out["urls"] = descriptor.urls;
  if (!descriptor.annotations.empty()) out["annotations"] = descriptor.annotations;
  if (!descriptor.data.empty()) out["data"] = descriptor.data;
  if (descriptor.platform) out["platform"] = write(*descriptor.platform);
  if (!descriptor.artifact_type.empty()) out["artifactType"] = descriptor.artifact_type;
  return out;
}

std::string go_text(const Json& json, int indent) {
  return escape_html(json.dump(indent, ' ', false, Json::error_handler_t::replace));
}

bool is_index(const std::string& media_type) {
  return media_type == kDockerList || media_type == kIndex;
}
bool is_manifest(const std::string& media_type) {
  return media_type == kDockerManifest || media_type == kManifest;
}
bool lacks_platform(const Descriptor& descriptor) {
  return is_manifest(descriptor.media_type) &&
         (!descriptor.platform || descriptor.platform->os.empty() ||
          descriptor.platform->architecture.empty());
}

// What a document is whose descriptor does not say.
std::string detect(const Json& document) {
  std::string type;
  if (take(document, "mediaType", type) && !type.empty()) return type;
  if (document.contains("config")) return kDockerManifest;
  if (document.contains("fsLayers")) return kSchema1;
  return kDockerList;
}

Result<Descriptor> read_source(const MergeSource& source) {
  DEPOT_ASSIGN(Json json, parse(source.descriptor, "a descriptor"));
  DEPOT_ASSIGN(Descriptor out, read_one(json));
  if (out.media_type.empty()) {
    DEPOT_ASSIGN(Json document, parse(source.bytes, out.digest));
    out.media_type = detect(document);
  }
  return out;
}

// As containerd fills a platform in: what is there stays.
Status add_platform(Descriptor& descriptor, const std::string& config) {
  DEPOT_ASSIGN(Json json, parse(config, "the config of " + descriptor.digest));
  Platform found;
  if (!read(json, found))
    return senseless("the config of " + descriptor.digest + " has no platform");
  std::string text = found.os + "/" + found.architecture;
  if (!found.variant.empty()) text += "/" + found.variant;
  if (auto canonical = canonical_platform(text); canonical.ok()) {
    size_t first = canonical->find('/'), second = canonical->find('/', first + 1);
    found.os = canonical->substr(0, first);
    found.architecture = canonical->substr(first + 1, second - first - 1);
    found.variant = second == std::string::npos ? "" : canonical->substr(second + 1);
  }
  if (!descriptor.platform) descriptor.platform.emplace();
  Platform& to = *descriptor.platform;
  if (to.architecture.empty()) {
    to.architecture = found.architecture;
    if (to.variant.empty()) to.variant = found.variant;
  }
  if (to.os.empty()) to.os = found.os;
  return {};
}

class Manifests {
 public:
  void add(Descriptor descriptor) {
    auto [known, added] = places_.emplace(descriptor.digest, all.size());
    if (added) {
      all.push_back(std::move(descriptor));
      return;
    }
    Descriptor& old = all[known->second];
    if (old.media_type.empty()) old.media_type = descriptor.media_type;
    if (descriptor.platform) old.platform = std::move(descriptor.platform);
    for (auto& [key, value] : descriptor.annotations) old.annotations[key] = std::move(value);
  }
  std::vector<Descriptor> all;

 private:
  std::map<std::string, size_t> places_;
};

struct Annotations {
  Texts index;
  Texts manifests;                           // of every descriptor
  std::map<std::string, Texts> by_platform;  // of those of one platform
  bool any = false;
};

// "annotation-index.KEY", "annotation-manifest-descriptor[linux/arm64].KEY".
Result<Annotations> annotations_of(const Texts& attrs) {
  Annotations out;
  constexpr std::string_view kOfIndex = "annotation-index.";
  constexpr std::string_view kOfManifest = "annotation-manifest-descriptor";
  for (const auto& [key, value] : attrs) {
    if (key.starts_with(kOfIndex)) {
      out.index[key.substr(kOfIndex.size())] = value;
    } else if (key.starts_with(kOfManifest)) {
      std::string rest = key.substr(kOfManifest.size());
      Texts* to = &out.manifests;
      if (size_t close = rest.find("]."); rest.starts_with('[') && close != std::string::npos) {
        DEPOT_ASSIGN(std::string platform, canonical_platform(rest.substr(1, close - 1)));
        to = &out.by_platform[platform];
        rest.erase(0, close + 1);
      }
      if (!rest.starts_with('.')) continue;
      (*to)[rest.substr(1)] = value;
    } else {
      continue;
    }
    out.any = true;
  }
  return out;
}

void annotate(Descriptor& descriptor, const Annotations& annotations) {
  for (const auto& [key, value] : annotations.manifests) descriptor.annotations[key] = value;
  if (!descriptor.platform) return;
  const Platform& platform = *descriptor.platform;
  std::string text = platform.os + "/" + platform.architecture +
                     (platform.variant.empty() ? "" : "/" + platform.variant);
  if (auto found = annotations.by_platform.find(text); found != annotations.by_platform.end())
    for (const auto& [key, value] : found->second) descriptor.annotations[key] = value;
}

MergedIndex finished(std::string media_type, std::string bytes) {
  Descriptor descriptor;
  descriptor.media_type = media_type;
  descriptor.digest = content::digest_of(bytes).text();
  descriptor.size = static_cast<int64_t>(bytes.size());
  return {std::move(media_type), descriptor.digest, std::move(bytes),
          go_text(write(descriptor), -1)};
}

}  // namespace

Result<Pointer> read_descriptor(const std::string& descriptor) {
  DEPOT_ASSIGN(Json json, parse(descriptor, "a descriptor"));
  DEPOT_ASSIGN(Descriptor read, read_one(json));
  return Pointer{read.media_type, read.digest, read.size};
}

Result<std::optional<Pointer>> config_of(const MergeSource& source) {
  DEPOT_ASSIGN(Descriptor descriptor, read_source(source));
  if (!lacks_platform(descriptor)) return std::optional<Pointer>();
  DEPOT_ASSIGN(Json manifest, parse(source.bytes, descriptor.digest));
  DEPOT_ASSIGN(Descriptor config, read_one(manifest.value("config", Json::object())));
  return std::optional<Pointer>(Pointer{config.media_type, config.digest, config.size});
}

Result<MergedIndex> merge_indexes(const std::vector<MergeSource>& sources, const Texts& attrs) {
  DEPOT_ASSIGN(Annotations annotations, annotations_of(attrs));
  std::vector<Descriptor> read;
  for (const auto& source : sources) {
    DEPOT_ASSIGN(Descriptor one, read_source(source));
    if (one.media_type == kSchema1)
      return senseless("manifest " + one.digest + " is of schema 1, which no index may list");
    if (lacks_platform(one)) DEPOT_TRY(add_platform(one, source.config));
    read.push_back(std::move(one));
  }
  if (sources.size() == 1 && !annotations.any)
    return MergedIndex{read[0].media_type, read[0].digest, sources[0].bytes,
                       go_text(write(read[0]), -1)};

  Manifests manifests;
  for (size_t i = 0; i < sources.size(); ++i) {
    if (!is_index(read[i].media_type)) {
      manifests.add(std::move(read[i]));
      continue;
    }
    DEPOT_ASSIGN(Json index, parse(sources[i].bytes, read[i].digest));
    auto listed = index.find("manifests");
    if (listed == index.end() || listed->is_null()) continue;
    if (!listed->is_array() || listed->size() > kMaxManifests)
      return senseless("index " + read[i].digest + " makes no sense");
    for (const auto& one : *listed) {
      DEPOT_ASSIGN(Descriptor descriptor, read_one(one));
      manifests.add(std::move(descriptor));
    }
  }
  bool docker = std::all_of(manifests.all.begin(), manifests.all.end(), [](const Descriptor& one) {
    return one.media_type.starts_with("application/vnd.docker.");
  });
  Json out;
  out["schemaVersion"] = 2;
  out["mediaType"] = docker ? kDockerList : kIndex;
  out["manifests"] = Json::array();
  for (auto& one : manifests.all) {
    if (!docker) annotate(one, annotations);  // Docker's lists have none
    out["manifests"].push_back(write(one));
  }
  if (!docker && !annotations.index.empty()) out["annotations"] = annotations.index;
  return finished(out["mediaType"].get<std::string>(), go_text(out, 2));
}

}  // namespace depot::solve

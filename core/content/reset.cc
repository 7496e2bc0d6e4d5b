// `reset=true` of a local cache export: the blobs that no manifest leads to go.
#include <set>

#include "content/index.h"
#include "content/json.h"

namespace depot::content {
namespace {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;

constexpr size_t kMaxManifest = 16 << 20;
constexpr int kMaxDepth = 16;

// Which member of a document names further blobs, by its media type; none: it is data.
std::vector<const char*> children_of(const std::string& media_type) {
  auto ends = [&](std::string_view end) { return media_type.ends_with(end); };
  if (ends("image.index.v1+json") || ends("manifest.list.v2+json")) return {"manifests"};
  if (ends("image.manifest.v1+json") || ends("manifest.v2+json")) return {"config", "layers"};
  return {};
}

class Marker {
 public:
  explicit Marker(const Store& store) : store_(store) {}

  Status mark(const std::string& media_type, const std::string& text, int depth) {
    DEPOT_ASSIGN(Digest digest, Digest::parse(text));
    if (!marked_.insert(digest.text()).second) return {};
    auto members = children_of(media_type);
    if (members.empty()) return {};
    if (depth > kMaxDepth)
      return Status(Code::kDataLoss, Hop::kLocal, "manifests are nested too deep");
    DEPOT_ASSIGN(std::string bytes, store_.read(digest, kMaxManifest));
    auto document = parse_json(bytes);
    if (!document || !document->is_object())
      return Status(Code::kDataLoss, Hop::kLocal, "blob " + digest.text() + " is no manifest");
    for (const char* member : members) {
      auto found = document->find(member);
      if (found == document->end() || found->is_null()) continue;
      if (!found->is_array()) {
        DEPOT_TRY(mark(string_of(*found, "mediaType"), string_of(*found, "digest"), depth + 1));
        continue;
      }
      for (const auto& child : *found)
        DEPOT_TRY(mark(string_of(child, "mediaType"), string_of(child, "digest"), depth + 1));
    }
    return {};
  }

  bool marked(const Digest& digest) const { return marked_.contains(digest.text()); }

 private:
  const Store& store_;
  std::set<std::string> marked_;
};

}  // namespace

Status reset(Store& store) {
  auto lock = FileLock::try_lock(store.handle(), "cache.lock", /*shared=*/false);
  if (!lock.ok()) return lock.status().with_prefix("another build writes to " + store.dir());
  DEPOT_ASSIGN(auto entries, read_index(store));
  Marker marker(store);
  // One that cannot be followed ends it before anything is gone.
  for (const auto& entry : entries) DEPOT_TRY(marker.mark(entry.media_type, entry.digest, 0));
  DEPOT_ASSIGN(auto blobs, store.list());
  for (const auto& digest : blobs)
    if (!marker.marked(digest)) DEPOT_TRY(store.remove(digest));
  return {};
}

}  // namespace depot::content

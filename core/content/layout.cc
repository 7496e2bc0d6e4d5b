#include "content/layout.h"

#include "content/json.h"

namespace depot::content {
namespace {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;

// What the daemon reads of a manifest.
constexpr size_t kMaxManifest = 4 << 20;
constexpr int kMaxDepth = 4;

Status check(const Store& store, const Digest& digest, int64_t size, int depth);

int64_t size_of(const Json& descriptor) {
  auto size = descriptor.is_object() ? descriptor.find("size") : descriptor.end();
  return size != descriptor.end() && size->is_number_integer() ? size->get<int64_t>() : 0;
}

Result<BlobInfo> look(const Store& store, const Digest& digest, int64_t size) {
  DEPOT_ASSIGN(auto info, store.info(digest));
  if (size > 0 && info.size != size) {
    return Status(Code::kDataLoss, Hop::kLocal,
                  "blob " + digest.text() + " in " + store.dir() + " is damaged: it has " +
                      std::to_string(info.size) + " bytes instead of " + std::to_string(size));
  }
  return info;
}

// A blob that an image consists of.
Status check_part(const Store& store, const Json& descriptor) {
  // Layers that are somewhere else altogether, as Windows' are.
  if (descriptor.is_object() && descriptor.contains("urls") && !descriptor["urls"].empty())
    return {};
  auto digest = Digest::parse(string_of(descriptor, "digest"));
  if (!digest.ok())
    return Status(Code::kDataLoss, Hop::kLocal, digest.status().message() + " in " + store.dir());
  return look(store, *digest, size_of(descriptor)).status();
}

Status check_index(const Store& store, const Json& manifests, int depth) {
  Status first;
  for (const auto& manifest : manifests) {
    auto digest = Digest::parse(string_of(manifest, "digest"));
    Status status = digest.ok() ? check(store, *digest, size_of(manifest), depth + 1)
                                : Status(Code::kDataLoss, Hop::kLocal, digest.status().message());
    if (status.ok()) return {};
    if (first.ok()) first = status;
  }
  return first;
}

Status check(const Store& store, const Digest& digest, int64_t size, int depth) {
  DEPOT_TRY(look(store, digest, size).status());
  DEPOT_ASSIGN(std::string text, store.read(digest, kMaxManifest));
  auto document = parse_json(text);
  auto wrong = [&](const char* why) {
    return Status(Code::kDataLoss, Hop::kLocal,
                  "blob " + digest.text() + " in " + store.dir() + " " + why);
  };
  if (!document || !document->is_object()) return wrong("is no manifest");
  if (auto manifests = document->find("manifests");
      manifests != document->end() && manifests->is_array()) {
    if (depth > kMaxDepth) return wrong("is nested too deep");
    return check_index(store, *manifests, depth);
  }
  auto config = document->find("config");
  auto layers = document->find("layers");
  if (config == document->end() || layers == document->end() || !layers->is_array())
    return wrong("is no manifest");
  DEPOT_TRY(check_part(store, *config));
  for (const auto& layer : *layers) DEPOT_TRY(check_part(store, layer));
  return {};
}

}  // namespace

Status check_image(const Store& store, const Digest& digest, int64_t size) {
  return check(store, digest, size, 0);
}

}  // namespace depot::content

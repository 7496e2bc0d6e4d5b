#include "machine/join.h"

#include <utility>

namespace depot::machine {
namespace {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;

// As large as a registry lets a manifest be, and far more than any has.
constexpr size_t kMaxConfig = 4 << 20;

struct Name {
  registry::Repository repository;
  std::string tag;
};

// "host/repository:tag", as canonical_name() gives it.
Name parse(const std::string& canonical) {
  Name name;
  size_t slash = canonical.find('/'), colon = canonical.rfind(':');
  name.repository.host = canonical.substr(0, slash);
  name.repository.name = canonical.substr(slash + 1, colon - slash - 1);
  name.tag = canonical.substr(colon + 1);
  return name;
}

Result<solve::MergeSource> fetch(registry::Manifests& manifests,
                                 const registry::Repository& repository,
                                 const std::string& descriptor, const base::Cancel& cancel) {
  solve::MergeSource source;
  source.descriptor = descriptor;
  DEPOT_ASSIGN(auto pointer, solve::read_descriptor(descriptor));
  DEPOT_ASSIGN(auto manifest, manifests.get(repository, pointer.digest, cancel));
  source.bytes = std::move(manifest.bytes);
  DEPOT_ASSIGN(auto config, solve::config_of(source));
  if (config) {
    DEPOT_ASSIGN(source.config, manifests.blob(repository, config->digest, kMaxConfig, cancel));
  }
  return source;
}

void list(std::string& to, const std::string& name) {
  to += (to.empty() ? "" : ", ") + name;
}

}  // namespace

Result<solve::MergedIndex> join(registry::Manifests& manifests, const solve::JoinedImage& image,
                                const std::vector<std::string>& descriptors,
                                const base::Cancel& cancel) {
  // Every repository has all of it; docker buildx reads the first one's, too.
  registry::Repository repository = parse(image.names.front()).repository;
  std::vector<solve::MergeSource> sources;
  for (const auto& descriptor : descriptors) {
    DEPOT_ASSIGN(auto source, fetch(manifests, repository, descriptor, cancel));
    sources.push_back(std::move(source));
  }
  DEPOT_ASSIGN(auto index, solve::merge_indexes(sources, image.attrs));

  registry::Manifest manifest{index.media_type, index.digest, index.bytes};
  Status first;
  std::string pushed, left;
  for (const auto& text : image.names) {
    Name name = parse(text);
    Status status =
        manifests.put(name.repository, image.by_digest ? index.digest : name.tag, manifest, cancel);
    if (cancel.triggered()) return base::cancelled_error();
    list(status.ok() ? pushed : left, text);
    if (first.ok()) first = status;
  }
  if (first.ok()) return index;
  std::string about = "index " + index.digest + " was not pushed as " + left;
  about += pushed.empty() ? "" : ", but was as " + pushed;
  return first.with_prefix(about);
}

}  // namespace depot::machine

#include "content/index.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <string_view>

#include "base/id.h"
#include "content/json.h"

namespace depot::content {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;
using namespace std::chrono_literals;

namespace {

constexpr const char* kIndex = "index.json";
constexpr const char* kImageName = "io.containerd.image.name";
constexpr const char* kRefName = "org.opencontainers.image.ref.name";
constexpr size_t kMaxIndex = 16 << 20;
// Another build's turn takes a few writes to the disk.
constexpr auto kLockWait = 30s;

Result<std::string> read_file(int dir, const char* name, const std::string& shown) {
  base::UniqueFd fd(::openat(dir, name, O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  std::string text;
  for (;;) {
    if (!fd.valid()) return base::errno_error(errno, "cannot read " + shown);
    size_t have = text.size();
    text.resize(have + (64 << 10));
    ssize_t got = ::read(fd.get(), text.data() + have, text.size() - have);
    if (got < 0 && errno != EINTR) return base::errno_error(errno, "cannot read " + shown);
    text.resize(have + static_cast<size_t>(std::max<ssize_t>(got, 0)));
    if (got == 0) return text;
    if (text.size() > kMaxIndex)
      return Status(Code::kResourceExhausted, Hop::kLocal, shown + " is too large");
  }
}

// Whole or not at all, and on the disk when this returns.
Status write_file(int dir, const char* name, std::string_view text, const std::string& shown) {
  std::string beside = std::string(".") + name + "." + base::random_hex(6);
  base::UniqueFd fd(
      ::openat(dir, beside.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644));
  if (!fd.valid()) return base::errno_error(errno, "cannot write " + shown);
  int failed = 0;
  while (!text.empty() && failed == 0) {
    ssize_t wrote = ::write(fd.get(), text.data(), text.size());
    if (wrote >= 0)
      text.remove_prefix(static_cast<size_t>(wrote));
    else if (errno != EINTR)
      failed = errno;
  }
  if (failed == 0 && ::fsync(fd.get()) != 0) failed = errno;
  if (failed == 0 && ::renameat(dir, beside.c_str(), dir, name) != 0) failed = errno;
  if (failed == 0 && ::fsync(dir) != 0) failed = errno;
  if (failed == 0) return {};
  ::unlinkat(dir, beside.c_str(), 0);
  return base::errno_error(failed, "cannot write " + shown);
}

std::string shown_index(const Store& store) {
  return store.dir() + "/" + kIndex;
}

Status no_index(const Store& store, const char* why) {
  return Status(Code::kDataLoss, Hop::kLocal, shown_index(store) + " " + why);
}

Result<Json> parse_index(const Store& store, const std::string& text) {
  auto index = parse_json(text);
  if (!index || !index->is_object()) return no_index(store, "is not the JSON of an OCI index");
  auto manifests = index->find("manifests");
  if (manifests == index->end() || manifests->is_null()) {
    (*index)["manifests"] = Json::array();
  } else if (!manifests->is_array()) {
    return no_index(store, "has no list of manifests");
  }
  return std::move(*index);
}

Entry entry_of(const Json& descriptor) {
  Entry entry;
  entry.media_type = string_of(descriptor, "mediaType");
  entry.digest = string_of(descriptor, "digest");
  auto size = descriptor.is_object() ? descriptor.find("size") : descriptor.end();
  if (size != descriptor.end() && size->is_number_integer()) entry.size = size->get<int64_t>();
  entry.image_name = annotation_of(descriptor, kImageName);
  entry.ref_name = annotation_of(descriptor, kRefName);
  return entry;
}

// The tag of a full name, as containerd has it; a digest keeps its "@".
std::string tag_of(const std::string& name) {
  size_t slash = name.find('/');
  if (slash == std::string::npos) return name;
  size_t at = name.find_first_of(":@", slash);
  if (at == std::string::npos) return "";
  return name.substr(name[at] == ':' ? at + 1 : at);
}

void insert(Json& manifests, Json descriptor, const Name& name) {
  std::string image = name.tag ? "" : name.value;
  std::string ref = name.tag ? name.value : tag_of(name.value);
  if (!descriptor.contains("annotations") || !descriptor["annotations"].is_object())
    descriptor["annotations"] = Json::object();
  // Sorted, as Go writes its maps.
  if (!image.empty()) descriptor["annotations"][kImageName] = image;
  descriptor["annotations"][kRefName] = ref;
  Json kept = Json::array();
  for (auto& manifest : manifests) {
    if (annotation_of(manifest, kRefName) != ref || annotation_of(manifest, kImageName) != image)
      kept.push_back(std::move(manifest));
  }
  kept.push_back(std::move(descriptor));
  manifests = std::move(kept);
}

}  // namespace

Result<std::vector<Entry>> read_index(const Store& store) {
  // A client that writes in place, as BuildKit's own does, may be at it just now.
  constexpr int kTries = 5;
  for (int tries = 1;; ++tries) {
    DEPOT_ASSIGN(std::string text, read_file(store.handle(), kIndex, shown_index(store)));
    auto index = parse_index(store, text);
    if (!index.ok()) {
      if (tries == kTries) return index.status();
      base::Cancel::never().wait_for(10ms);
      continue;
    }
    std::vector<Entry> entries;
    for (const auto& manifest : (*index)["manifests"]) entries.push_back(entry_of(manifest));
    return entries;
  }
}

const Entry* find_entry(const std::vector<Entry>& entries, const std::string& tag) {
  for (const auto& entry : entries)
    if (!entry.image_name.empty() && entry.image_name == tag) return &entry;
  for (const auto& entry : entries)
    if (!entry.ref_name.empty() && entry.ref_name == tag) return &entry;
  return nullptr;
}

Status put_index(const Store& store, const std::string& descriptor, const std::vector<Name>& names,
                 const base::Cancel& cancel) {
  auto parsed = parse_json(descriptor);
  auto digest = Digest::parse(parsed ? string_of(*parsed, "digest") : "");
  if (!digest.ok() || string_of(*parsed, "mediaType").empty()) {
    return Status(Code::kInternal, Hop::kSolve,
                  "the builder's answer names no manifest for " + shown_index(store));
  }
  if (!store.has(*digest, entry_of(*parsed).size)) {
    return Status(Code::kDataLoss, Hop::kSession,
                  "the builder did not write " + digest->text() + " to " + store.dir());
  }
  DEPOT_ASSIGN(auto lock, IndexLock::take(store.handle(), store.dir(), kLockWait, cancel));
  DEPOT_TRY(write_file(store.handle(), "oci-layout", R"({"imageLayoutVersion":"1.0.0"})",
                       store.dir() + "/oci-layout"));
  Json index = Json::object();
  auto before = read_file(store.handle(), kIndex, shown_index(store));
  if (before.ok() && !before->empty()) {
    DEPOT_ASSIGN(index, parse_index(store, *before));
  } else if (!before.ok() && before.status().code() != Code::kNotFound) {
    return before.status();
  }
  if (!index.contains("schemaVersion")) index["schemaVersion"] = 2;
  if (string_of(index, "mediaType").empty())
    index["mediaType"] = "application/vnd.oci.image.index.v1+json";
  if (!index.contains("manifests")) index["manifests"] = Json::array();
  for (const auto& name : names) insert(index["manifests"], *parsed, name);
  return write_file(store.handle(), kIndex,
                    index.dump(-1, ' ', false, Json::error_handler_t::replace), shown_index(store));
}

}  // namespace depot::content

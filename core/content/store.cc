#include "content/store.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <filesystem>

#include "base/id.h"

namespace depot::content {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;

namespace {

// Blobs that one session writes at a time; the daemon copies a few layers side by side.
constexpr size_t kMaxWriters = 256;
constexpr size_t kMaxRef = 4096;
// Files of one folder that are looked at: a cache of that many layers is none.
constexpr size_t kMaxListed = 1 << 20;

std::string path_of(const Digest& digest) {
  return "blobs/" + digest.algorithm + "/" + digest.hex;
}

struct CloseDir {
  void operator()(DIR* dir) const { ::closedir(dir); }
};

// Calls `each` with the names in folder `name`; none when it is not there.
template <class F>
Status for_each_name(int root, const char* name, F each) {
  base::UniqueFd fd(::openat(root, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) {
    if (errno == ENOENT) return {};
    return base::errno_error(errno, std::string("cannot list ") + name);
  }
  std::unique_ptr<DIR, CloseDir> dir(::fdopendir(fd.get()));
  if (!dir) return base::errno_error(errno, std::string("cannot list ") + name);
  int folder = fd.release();  // the DIR's now
  size_t count = 0;
  while (const dirent* entry = ::readdir(dir.get())) {
    std::string_view text(entry->d_name);
    if (text == "." || text == "..") continue;
    if (++count > kMaxListed)
      return Status(Code::kResourceExhausted, Hop::kLocal,
                    std::string(name) + " has too many files");
    each(folder, entry->d_name);
  }
  return {};
}

}  // namespace

Store::Store(std::string dir, base::UniqueFd root) : dir_(std::move(dir)), root_(std::move(root)) {}

Store::~Store() = default;

Result<std::shared_ptr<Store>> Store::open(const std::string& dir, Use use) {
  const std::string what = (use == Use::kWrite ? "cannot write " : "cannot read ") + dir;
  if (use == Use::kWrite) {
    std::error_code error;
    std::filesystem::create_directories(dir, error);
    if (error && !std::filesystem::is_directory(dir)) return base::errno_error(error.value(), what);
  }
  base::UniqueFd root(::open(dir.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!root.valid()) return base::errno_error(errno, what);
  if (use == Use::kWrite && ::faccessat(root.get(), ".", W_OK | X_OK, AT_EACCESS) != 0)
    return base::errno_error(errno, what);
  return std::shared_ptr<Store>(new Store(dir, std::move(root)));
}

Status Store::not_found(const Digest& digest) const {
  return Status(Code::kNotFound, Hop::kLocal, "blob " + digest.text() + " is not in " + dir_);
}

Result<BlobInfo> Store::info(const Digest& digest) const {
  struct stat found {};
  if (::fstatat(root_.get(), path_of(digest).c_str(), &found, 0) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return not_found(digest);
    return base::errno_error(errno, "cannot look at blob " + digest.text() + " in " + dir_);
  }
  if (!S_ISREG(found.st_mode)) return not_found(digest);
  return BlobInfo{found.st_size, found.st_mtim, found.st_atim};
}

Result<Blob> Store::blob(const Digest& digest) const {
  Blob blob;
  blob.fd.reset(
      ::openat(root_.get(), path_of(digest).c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat found {};
  if (!blob.fd.valid() || ::fstat(blob.fd.get(), &found) != 0) {
    if (errno == ENOENT || errno == ENOTDIR) return not_found(digest);
    return base::errno_error(errno, "cannot read blob " + digest.text() + " in " + dir_);
  }
  if (!S_ISREG(found.st_mode)) return not_found(digest);
  blob.size = found.st_size;
  return blob;
}

Result<std::string> Store::read(const Digest& digest, size_t limit) const {
  DEPOT_ASSIGN(Blob opened, blob(digest));
  const std::string what = "blob " + digest.text() + " in " + dir_;
  if (static_cast<uint64_t>(opened.size) > limit) {
    return Status(Code::kResourceExhausted, Hop::kLocal,
                  what + " is larger than " + std::to_string(limit) + " bytes");
  }
  std::string text(static_cast<size_t>(opened.size), '\0');
  size_t have = 0;
  while (have < text.size()) {
    ssize_t got = ::read(opened.fd.get(), text.data() + have, text.size() - have);
    if (got < 0 && errno == EINTR) continue;
    if (got < 0) return base::errno_error(errno, "cannot read " + what);
    if (got == 0) break;
    have += static_cast<size_t>(got);
  }
  text.resize(have);
  Hasher hasher(digest.algorithm);
  hasher.add({reinterpret_cast<const uint8_t*>(text.data()), text.size()});
  if (Digest found = hasher.digest(); found != digest)
    return Status(Code::kDataLoss, Hop::kLocal, what + " is damaged: it has " + found.text());
  return text;
}

bool Store::has(const Digest& digest, int64_t size) const {
  auto found = info(digest);
  return found.ok() && (size <= 0 || found->size == size);
}

Status Store::prepare_ingest() {
  if (ingest_.valid()) return {};
  if (::mkdirat(root_.get(), "ingest", 0777) != 0 && errno != EEXIST)
    return base::errno_error(errno, "cannot write " + dir_ + "/ingest");
  DEPOT_TRY(for_each_name(root_.get(), "ingest", [](int folder, const char* name) {
    // Folders are those of other clients. A writer of ours holds its file's lock while it lives.
    base::UniqueFd left(::openat(folder, name, O_RDONLY | O_CLOEXEC | O_NOFOLLOW | O_NONBLOCK));
    struct stat what {};
    if (left.valid() && ::fstat(left.get(), &what) == 0 && S_ISREG(what.st_mode) &&
        ::flock(left.get(), LOCK_EX | LOCK_NB) == 0)
      ::unlinkat(folder, name, 0);
  }));
  ingest_.reset(::openat(root_.get(), "ingest", O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!ingest_.valid()) return base::errno_error(errno, "cannot write " + dir_ + "/ingest");
  return {};
}

Result<std::shared_ptr<Writer>> Store::write(const std::string& ref, int64_t total,
                                             const std::string& algorithm) {
  if (ref.empty() || ref.size() > kMaxRef) return base::usage_error("a write needs a ref");
  std::lock_guard lock(mutex_);
  if (released_)
    return Status(Code::kFailedPrecondition, Hop::kSession,
                  "nothing is written to " + dir_ + " any more");
  // It may be half gone already: whoever drops it does not hold our mutex yet.
  if (auto other = writers_.find(ref); other != writers_.end() && !other->second.expired())
    return Status(Code::kUnavailable, Hop::kSession, "ref " + ref + " is locked by another writer");
  if (writers_.size() >= kMaxWriters)
    return Status(Code::kUnavailable, Hop::kSession, "too many blobs are being written");
  if (guards_cache_ && !cache_lock_.held()) {
    auto guard = FileLock::try_lock(root_.get(), "cache.lock", /*shared=*/true);
    if (!guard.ok()) return guard.status().with_prefix("cache " + dir_ + " is being cleaned up");
    cache_lock_ = std::move(*guard);
  }
  DEPOT_TRY(prepare_ingest());
  for (;;) {
    std::string file = digest_of(ref).hex + "." + base::random_hex(6);
    base::UniqueFd fd(::openat(ingest_.get(), file.c_str(),
                               O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666));
    if (!fd.valid()) return base::errno_error(errno, "cannot write blobs to " + dir_);
    // Tells the prepare_ingest() of others that somebody is here; one may have been between our two
    // calls. Where there are no locks nothing is ever removed.
    bool locked = ::flock(fd.get(), LOCK_EX | LOCK_NB) == 0;
    if ((!locked && errno == EWOULDBLOCK) || !same_file(fd.get(), ingest_.get(), file.c_str()))
      continue;
    std::shared_ptr<Writer> writer(
        new Writer(shared_from_this(), ref, std::move(file), std::move(fd), total, algorithm));
    writers_[ref] = writer;
    return writer;
  }
}

std::vector<IngestStatus> Store::statuses() const {
  std::vector<std::shared_ptr<Writer>> alive;  // let go of without the mutex: forget() takes it
  {
    std::lock_guard lock(mutex_);
    for (const auto& [ref, writer] : writers_)
      if (auto held = writer.lock()) alive.push_back(std::move(held));
  }
  std::vector<IngestStatus> all;
  all.reserve(alive.size());
  for (const auto& writer : alive) all.push_back(writer->status());
  return all;
}

Status Store::abort(const std::string& ref) {
  std::shared_ptr<Writer> writer;
  {
    std::lock_guard lock(mutex_);
    auto found = writers_.find(ref);
    if (found != writers_.end()) {
      writer = found->second.lock();
      writers_.erase(found);
    }
  }
  if (!writer) return Status(Code::kNotFound, Hop::kSession, "nothing is written under ref " + ref);
  writer->break_off();
  return {};
}

void Store::forget(const std::string& ref) {
  std::lock_guard lock(mutex_);
  auto found = writers_.find(ref);
  // Another writer may have the ref by now.
  if (found != writers_.end() && found->second.expired()) writers_.erase(found);
}

void Store::release() {
  std::lock_guard lock(mutex_);
  released_ = true;
  cache_lock_.release();
}

Result<std::vector<Digest>> Store::list() const {
  std::vector<Digest> all;
  for (const char* algorithm : {"sha256", "sha384", "sha512"}) {
    std::string folder = std::string("blobs/") + algorithm;
    DEPOT_TRY(for_each_name(root_.get(), folder.c_str(), [&](int, const char* name) {
      auto digest = Digest::parse(std::string(algorithm) + ":" + name);
      if (digest.ok()) all.push_back(std::move(*digest));
    }));
  }
  return all;
}

Status Store::remove(const Digest& digest) {
  if (::unlinkat(root_.get(), path_of(digest).c_str(), 0) != 0 && errno != ENOENT)
    return base::errno_error(errno, "cannot remove blob " + digest.text() + " from " + dir_);
  return {};
}

}  // namespace depot::content

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <vector>

#include "content/store.h"

namespace depot::content {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;

namespace {

timespec now() {
  timespec time{};
  ::clock_gettime(CLOCK_REALTIME, &time);
  return time;
}

// The folder below `root`, made if need be and then safe on the disk.
Result<base::UniqueFd> folder(int root, const char* name) {
  bool made = ::mkdirat(root, name, 0755) == 0;
  if (!made && errno != EEXIST) return base::errno_error(errno, name);
  base::UniqueFd fd(::openat(root, name, O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.valid()) return base::errno_error(errno, name);
  if (made && ::fsync(root) != 0) return base::errno_error(errno, name);
  return fd;
}

}  // namespace

Writer::Writer(std::shared_ptr<Store> store, std::string ref, std::string name, base::UniqueFd fd,
               int64_t total, const std::string& algorithm)
    : store_(std::move(store)),
      ref_(std::move(ref)),
      name_(std::move(name)),
      fd_(std::move(fd)),
      hasher_(algorithm) {
  status_.ref = ref_;
  status_.started = status_.updated = now();
  status_.total = total;
}

Writer::~Writer() {
  if (!committed_) ::unlinkat(store_->ingest_.get(), name_.c_str(), 0);
  store_->forget(ref_);
}

IngestStatus Writer::status() const {
  std::lock_guard lock(mutex_);
  return status_;
}

Digest Writer::digest() const {
  return hasher_.digest();
}

void Writer::break_off() {
  std::lock_guard lock(mutex_);
  broken_ = true;
}

Status Writer::usable() const {
  std::lock_guard lock(mutex_);
  if (broken_)
    return Status(Code::kAborted, Hop::kSession, "the write under ref " + ref_ + " was aborted");
  if (committed_)
    return Status(Code::kFailedPrecondition, Hop::kSession, "ref " + ref_ + " was committed");
  return {};
}

Status Writer::write(std::span<const uint8_t> bytes) {
  DEPOT_TRY(usable());
  for (auto rest = bytes; !rest.empty();) {
    ssize_t wrote = ::write(fd_.get(), rest.data(), rest.size());
    if (wrote < 0 && errno == EINTR) continue;
    if (wrote < 0) return base::errno_error(errno, "cannot write a blob to " + store_->dir());
    rest = rest.subspan(static_cast<size_t>(wrote));
  }
  hasher_.add(bytes);
  std::lock_guard lock(mutex_);
  status_.offset += static_cast<int64_t>(bytes.size());
  status_.updated = now();
  return {};
}

Status Writer::restart() {
  DEPOT_TRY(usable());
  if (::ftruncate(fd_.get(), 0) != 0 || ::lseek(fd_.get(), 0, SEEK_SET) != 0)
    return base::errno_error(errno, "cannot write a blob to " + store_->dir());
  hasher_.restart();
  std::lock_guard lock(mutex_);
  status_.offset = 0;
  return {};
}

Result<Digest> Writer::commit(int64_t total, const std::string& expected) {
  DEPOT_TRY(usable());
  const int64_t size = status().offset;
  if (total > 0 && total != size) {
    return Status(
        Code::kFailedPrecondition, Hop::kSession,
        "a blob of " + std::to_string(size) + " bytes was to have " + std::to_string(total));
  }
  Digest digest = hasher_.digest();
  if (!expected.empty()) {
    DEPOT_ASSIGN(Digest wanted, Digest::parse(expected));
    if (wanted.algorithm != digest.algorithm) {
      // The algorithm was not told before: once more, from what was written.
      Hasher again(wanted.algorithm);
      std::vector<uint8_t> buffer(1 << 18);
      for (int64_t at = 0; at < size;) {
        ssize_t got = ::pread(fd_.get(), buffer.data(), buffer.size(), at);
        if (got < 0 && errno == EINTR) continue;
        if (got <= 0) return base::errno_error(got < 0 ? errno : EIO, "cannot read a blob again");
        again.add({buffer.data(), static_cast<size_t>(got)});
        at += got;
      }
      digest = again.digest();
    }
    if (wanted != digest) {
      return Status(Code::kFailedPrecondition, Hop::kSession,
                    "a blob with digest " + digest.text() + " was to have " + wanted.text());
    }
  }
  DEPOT_TRY(place(digest));
  return digest;
}

Status Writer::place(const Digest& digest) {
  const std::string what = "cannot put blob " + digest.text() + " into " + store_->dir();
  struct stat info {};
  // On the disk before it has its name: a name whose bytes went with a crash would stay for good,
  // since nobody writes a blob that is there.
  if (::fstat(fd_.get(), &info) != 0 || ::fsync(fd_.get()) != 0)
    return base::errno_error(errno, what);
  (void)::fchmod(fd_.get(), info.st_mode & 0444);
  auto blobs = folder(store_->handle(), "blobs");
  if (!blobs.ok()) return blobs.status().with_prefix(what);
  auto place = folder(blobs->get(), digest.algorithm.c_str());
  if (!place.ok()) return place.status().with_prefix(what);
  // Over one that is there: it has the same bytes, or was cut off and is mended so.
  if (::renameat(store_->ingest_.get(), name_.c_str(), place->get(), digest.hex.c_str()) != 0)
    return base::errno_error(errno, what);
  {
    std::lock_guard lock(mutex_);
    committed_ = true;
  }
  if (::fsync(place->get()) != 0) return base::errno_error(errno, what);
  return {};
}

}  // namespace depot::content

#include "solve/stream.h"

#include <fcntl.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <string_view>
#include <utility>

namespace depot::solve {
namespace {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;
using base::usage_error;
using Clock = std::chrono::steady_clock;

// As much as docker buildx and the builder's frontend look at.
constexpr size_t kHead = 2 * kTarBlock;
constexpr size_t kMaxText = 16 << 20;

std::span<const uint8_t> bytes_of(std::string_view text) {
  return {reinterpret_cast<const uint8_t*>(text.data()), text.size()};
}

bool is_compressed(std::string_view head) {
  using namespace std::string_view_literals;
  for (auto magic : {"BZh"sv, "\x1f\x8b\x08"sv,
                     "\xfd"
                     "7zXZ\0"sv,
                     "\x28\xb5\x2f\xfd"sv})
    if (head.starts_with(magic)) return true;
  // A zstd frame that is to be skipped.
  return head.size() >= 8 && (head[0] & '\xf0') == '\x50' && head.substr(1, 3) == "\x2a\x4d\x18"sv;
}

// The entry "./", as a tar's first: a folder that is there already.
std::string root_entry() {
  std::string block(kTarBlock, '\0');
  auto put = [&](size_t at, std::string_view text) { block.replace(at, text.size(), text); };
  put(0, "./");
  put(100, "0000755");
  put(108, "0000000");
  put(116, "0000000");
  put(124, "00000000000");
  put(136, "00000000000");
  put(148, "        ");
  put(156, "5");
  put(257, std::string_view("ustar\00000", 8));
  unsigned sum = 0;
  for (unsigned char c : block) sum += c;
  char text[8];
  std::snprintf(text, sizeof text, "%06o", sum);
  put(148, std::string_view(text, 7));  // with its zero; the blank behind it stays
  return block;
}

}  // namespace

std::shared_ptr<Stream> Stream::standard_input() {
  auto stream = std::make_shared<Stream>();
  stream->name_ = "standard input";
  stream->fd_ = 0;
  return stream;
}

std::shared_ptr<Stream> Stream::of_file(std::string path) {
  auto stream = std::make_shared<Stream>();
  struct stat info {};
  stream->regular_ = ::stat(path.c_str(), &info) == 0 && S_ISREG(info.st_mode);
  stream->name_ = path;
  stream->path_ = std::move(path);
  return stream;
}

std::shared_ptr<Stream> Stream::of_function(Read read, std::string name) {
  auto stream = std::make_shared<Stream>();
  stream->name_ = std::move(name);
  stream->read_ = std::move(read);
  return stream;
}

std::shared_ptr<Stream> Stream::for_solve(const std::shared_ptr<Stream>& self) const {
  return regular_ ? of_file(path_) : self;
}

Status Stream::open() {
  if (!wake_.valid()) wake_.reset(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
  if (!wake_.valid()) return base::errno_error(errno, "eventfd");
  if (read_ || fd_ >= 0) return {};
  // Not waiting for somebody to open a FIFO's other end; poll() does that.
  own_.reset(::open(path_.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  if (!own_.valid()) return base::errno_error(errno, "open " + path_);
  fd_ = own_.get();
  return {};
}

Status Stream::wait_readable(const Waiting& waiting) {
  auto stop = waiting.cancel.on_trigger([fd = wake_.get()] {
    uint64_t one = 1;
    (void)!::write(fd, &one, sizeof one);
  });
  const bool timed = waiting.timeout.count() > 0;
  const auto deadline = Clock::now() + waiting.timeout;
  for (;;) {
    pollfd fds[2] = {{fd_, POLLIN, 0}, {wake_.get(), POLLIN, 0}};
    int timeout = -1;
    if (timed) {
      auto left = std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
      timeout = static_cast<int>(std::clamp<int64_t>(left, 0, 1 << 30));
    }
    int ready = ::poll(fds, 2, timeout);
    if (ready < 0 && errno == EINTR) continue;
    if (ready < 0) return base::errno_error(errno, "poll " + name_);
    if (waiting.cancel.triggered() || fds[1].revents != 0) return base::cancelled_error();
    if (fds[0].revents != 0) return {};
    if (timed && Clock::now() >= deadline)
      return Status(Code::kDeadlineExceeded, Hop::kLocal, "nothing came on " + name_ + " in time");
  }
}

Result<size_t> Stream::pull(std::span<uint8_t> out, const Waiting& waiting) {
  if (ended_ || out.empty()) return size_t{0};
  if (read_) {
    if (waiting.cancel.triggered()) return base::cancelled_error();
    DEPOT_ASSIGN(size_t got, read_(offset_, out));
    offset_ += got;
    ended_ = got == 0;
    return got;
  }
  for (;;) {
    if (!regular_) DEPOT_TRY(wait_readable(waiting));
    ssize_t got = ::read(fd_, out.data(), out.size());
    if (got < 0 && (errno == EINTR || errno == EAGAIN)) continue;
    if (got < 0) return base::errno_error(errno, "read " + name_);
    offset_ += static_cast<uint64_t>(got);
    ended_ = got == 0;
    return static_cast<size_t>(got);
  }
}

Status Stream::fill_head(size_t size, const Waiting& waiting) {
  DEPOT_TRY(open());
  // Of an earlier wait that was cancelled.
  uint64_t count;
  (void)!::read(wake_.get(), &count, sizeof count);
  while (head_.size() < size && !ended_) {
    size_t before = head_.size();
    head_.resize(std::min(size, before + (64 << 10)));
    auto got =
        pull({reinterpret_cast<uint8_t*>(head_.data()) + before, head_.size() - before}, waiting);
    head_.resize(before + (got.ok() ? *got : 0));
    if (!got.ok()) return got.status();
  }
  return {};
}

Result<Stream::Kind> Stream::look(const Waiting& waiting) {
  std::lock_guard pulling(pulling_);
  {
    std::lock_guard lock(mutex_);
    if (begun_) {
      return Status(Code::kFailedPrecondition, Hop::kUsage, name_ + " has been read already")
          .with_hint("a stream is good for one solve");
    }
  }
  DEPOT_TRY(fill_head(kHead, waiting));
  if (head_.empty()) return Kind::kEmpty;
  if (is_compressed(head_)) return Kind::kArchive;
  if (!is_tar_header(bytes_of(head_))) return Kind::kText;
  if (!checked_) {
    checked_ = true;
    // Frontends look for an entry in the beginning of a tar and do not find it behind what Python
    // and others put there. They do find this one.
    if (is_tar_prelude(bytes_of(head_))) head_.insert(0, root_entry());
  }
  return Kind::kArchive;
}

Result<std::string> Stream::text(const Waiting& waiting) {
  std::lock_guard pulling(pulling_);
  DEPOT_TRY(fill_head(kMaxText + 1, waiting));
  if (head_.size() > kMaxText)
    return usage_error("the Dockerfile on " + name_ + " has more than 16 MiB");
  return head_;
}

Status Stream::fail(Status status) {
  std::lock_guard lock(mutex_);
  if (failure_.ok() && !interrupted_) failure_ = status;
  return status;
}

void Stream::begin() {
  std::lock_guard lock(mutex_);
  begun_ = true;
}

Result<size_t> Stream::read(std::span<uint8_t> out) {
  std::lock_guard pulling(pulling_);
  {
    std::lock_guard lock(mutex_);
    begun_ = true;
    if (interrupted_) return base::cancelled_error();
  }
  size_t size = 0;
  if (given_ < head_.size()) {
    size = std::min(out.size(), head_.size() - given_);
    std::memcpy(out.data(), head_.data() + given_, size);
    given_ += size;
  } else {
    auto got = pull(out, {});
    if (!got.ok()) return fail(got.status());
    size = *got;
  }
  if (checked_) {
    Status status = size > 0 ? check_.feed(out.first(size)) : check_.finish();
    if (!status.ok()) return fail(status);
  }
  return size;
}

void Stream::interrupt() {
  std::lock_guard lock(mutex_);
  if (!begun_) return;
  interrupted_ = true;
  uint64_t one = 1;
  if (wake_.valid()) (void)!::write(wake_.get(), &one, sizeof one);
}

bool Stream::given() const {
  std::lock_guard lock(mutex_);
  return begun_;
}

Status Stream::failure() const {
  std::lock_guard lock(mutex_);
  return failure_;
}

}  // namespace depot::solve

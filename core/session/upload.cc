// Upload.Pull: a source's bytes, read ahead on a pool and pulled as the daemon's windows allow.
#include "session/upload.h"

#include <algorithm>
#include <cstring>
#include <deque>
#include <map>
#include <memory>
#include <mutex>
#include <utility>

#include "session/bytes_message.h"
#include "session/services.h"
#include "wire/methods.h"

namespace depot::session {
namespace {

using base::Code;
using base::Hop;
using base::Status;

constexpr size_t kPrefix = 5;  // gRPC's
constexpr size_t kHeader = kPrefix + kBytesMessageHeader;
// With its header below malloc's mmap threshold; four of them keep a loop and a pipe busy.
constexpr size_t kPiece = (64 << 10) - kHeader;
constexpr size_t kAhead = 4;

using Uploads = std::map<std::string, std::shared_ptr<UploadSource>, std::less<>>;

// path.Base of Go's, which is never empty.
std::string_view base_of(std::string_view path) {
  while (path.size() > 1 && path.ends_with('/')) path.remove_suffix(1);
  if (path.empty()) return ".";
  return path == "/" ? path : path.substr(path.rfind('/') + 1);
}

// One message, as it leaves.
struct Piece {
  std::unique_ptr<uint8_t[]> bytes{new uint8_t[kHeader + kPiece]};  // not zeroed
  size_t size = 0;

  std::span<uint8_t> room() { return {bytes.get() + kHeader, kPiece}; }
  void close(size_t payload) {
    size_t message = kBytesMessageHeader + payload;
    bytes[0] = 0;
    for (size_t i = 0; i < 4; ++i) bytes[1 + i] = static_cast<uint8_t>(message >> (24 - 8 * i));
    write_bytes_message_header(
        std::span<uint8_t, kBytesMessageHeader>(bytes.get() + kPrefix, kBytesMessageHeader),
        payload);
    size = kPrefix + message;
  }
};

// What the loop and the pool share. The pool is not kept by it: its tasks keep this, and a pool
// must not end in one of its own.
class Feed : public std::enable_shared_from_this<Feed> {
 public:
  Feed(std::shared_ptr<UploadSource> source, const std::shared_ptr<base::Pool>& pool,
       std::function<void()> wake)
      : source_(std::move(source)), pool_(pool), wake_(std::move(wake)) {}

  // Loop. Null: nothing now, and `wake` will be called, or nothing more at all: `end`.
  std::shared_ptr<Piece> take(bool* end) {
    std::lock_guard lock(mutex_);
    std::shared_ptr<Piece> piece;
    if (!pieces_.empty()) {
      piece = std::move(pieces_.front());
      pieces_.pop_front();
    }
    *end = !piece && ended_;
    waiting_ = !piece && !ended_;
    if (!reading_ && !ended_ && pieces_.size() <= kAhead / 2) {
      auto pool = pool_.lock();
      reading_ = pool != nullptr;
      if (pool) pool->add([self = shared_from_this()] { self->work(); });
    }
    return piece;
  }

  void stop() {
    {
      std::lock_guard lock(mutex_);
      if (ended_) return;
      ended_ = true;
      waiting_ = false;
    }
    source_->interrupt();
  }

  Status status() const {
    std::lock_guard lock(mutex_);
    return status_;
  }

 private:
  void work() {
    for (;;) {
      {
        std::lock_guard lock(mutex_);
        if (ended_ || pieces_.size() >= kAhead) {
          reading_ = false;
          return;
        }
        // Locked: stop() comes either before this, and is seen, or after, and interrupts.
        source_->begin();
      }
      auto piece = std::make_shared<Piece>();
      auto got = source_->read(piece->room());
      bool wake = false;
      {
        std::lock_guard lock(mutex_);
        if (ended_) return;
        if (got.ok() && *got > 0) {
          piece->close(*got);
          pieces_.push_back(std::move(piece));
        } else {
          ended_ = true;
          status_ = got.status();
        }
        wake = std::exchange(waiting_, false);
      }
      if (wake) wake_();
    }
  }

  const std::shared_ptr<UploadSource> source_;
  const std::weak_ptr<base::Pool> pool_;
  const std::function<void()> wake_;
  mutable std::mutex mutex_;
  std::deque<std::shared_ptr<Piece>> pieces_;
  bool reading_ = false, waiting_ = false, ended_ = false;
  Status status_;
};

class FeedBody final : public http2::BodySource {
 public:
  explicit FeedBody(std::shared_ptr<Feed> feed) : feed_(std::move(feed)) {}

  http2::BodyRead read(std::span<uint8_t> out) override {
    http2::BodyRead read;
    while (read.bytes < out.size() && advance(&read.state)) {
      auto bytes = next(out.size() - read.bytes);
      std::memcpy(out.data() + read.bytes, bytes.data(), bytes.size());
      read.bytes += bytes.size();
    }
    return read;
  }

  http2::BodyLoan lend(size_t max) override {
    http2::BodyLoan loan;
    if (advance(&loan.state)) loan.bytes = {next(max), piece_};
    return loan;
  }

 private:
  // Whether there is something left to send.
  bool advance(http2::BodyState* state) {
    if (piece_ && sent_ < piece_->size) return true;
    bool end = false;
    piece_ = feed_->take(&end);
    sent_ = 0;
    if (piece_) return true;
    *state = end ? http2::BodyState::kEnd : http2::BodyState::kPending;
    return false;
  }
  std::span<const uint8_t> next(size_t max) {
    std::span<const uint8_t> bytes(piece_->bytes.get() + sent_,
                                   std::min(max, piece_->size - sent_));
    sent_ += bytes.size();
    return bytes;
  }

  std::shared_ptr<Feed> feed_;
  std::shared_ptr<Piece> piece_;  // being sent
  size_t sent_ = 0;
};

class Pull final : public http2::CallHandler {
 public:
  Pull(const std::shared_ptr<http2::Call>& call, Uploads& uploads,
       const std::shared_ptr<base::Pool>& pool, const Post& post) {
    std::string_view id = base_of(call->metadata().find("urlpath").value_or(""));
    auto found = uploads.find(id);
    if (found == uploads.end()) {
      call->finish(Status(Code::kUnknown, Hop::kSession,
                          "no http response from session for " + std::string(id)));
      return;
    }
    feed_ = std::make_shared<Feed>(std::move(found->second), pool,
                                   [post, weak = std::weak_ptr<http2::Call>(call)] {
                                     post([weak] {
                                       if (auto alive = weak.lock()) alive->resume();
                                     });
                                   });
    uploads.erase(found);  // a stream is there once
    call->stream(std::make_unique<FeedBody>(feed_), [feed = feed_] { return feed->status(); });
  }

  void on_message(std::span<const uint8_t>) override {}
  void on_end(const Status&) override {
    if (feed_) feed_->stop();
  }

 private:
  std::shared_ptr<Feed> feed_;
};

}  // namespace

void add_upload(http2::GrpcServer& server, const Options& options, const Post& post) {
  if (options.uploads.empty()) return;
  auto uploads = std::make_shared<Uploads>(options.uploads.begin(), options.uploads.end());
  server.add(
      std::string(wire::kUploadPull),
      [uploads, pool = options.walkers, post](auto call) {
        return std::make_unique<Pull>(call, *uploads, pool, post);
      },
      4 << 10);
}

}  // namespace depot::session

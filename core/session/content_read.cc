// Content.Read: a region of a blob, read ahead by the pool in blocks that the connection lends
// from.
#include <containerd/services/content/v1/content.pb.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <deque>
#include <mutex>

#include "session/content.h"
#include "wire/methods.h"

namespace depot::session {
namespace {

using base::Code;
using base::Hop;
using base::Status;
namespace proto = ::containerd::services::content::v1;

// Content of one message. The daemon asks for a megabyte or less at a time, mostly.
constexpr size_t kBlock = 256 << 10;
// Blocks that are read ahead of what the peer has taken.
constexpr size_t kAhead = 2;
// gRPC's prefix, the offset, and the key and length of the data.
constexpr size_t kMaxHeader = 5 + 11 + 6;
// Less is copied: a loan is a piece of its own on the way to the socket.
constexpr size_t kLeastLoan = 4 << 10;

size_t put_varint(uint8_t* out, uint64_t value) {
  size_t size = 0;
  for (; value >= 0x80; value >>= 7) out[size++] = static_cast<uint8_t>(value | 0x80);
  out[size++] = static_cast<uint8_t>(value);
  return size;
}

// A message with its prefix: bytes[begin, end).
struct Block {
  std::unique_ptr<uint8_t[]> bytes;
  size_t begin = 0;
  size_t end = 0;
};

// Between the pool, which fills, and the loop, which sends.
class Region : public std::enable_shared_from_this<Region> {
 public:
  Region(std::shared_ptr<ContentContext> context, std::weak_ptr<http2::Call> call,
         std::shared_ptr<content::Store> store, const proto::ReadContentRequest& request)
      : context_(std::move(context)),
        call_(std::move(call)),
        store_(std::move(store)),
        digest_(request.digest()),
        offset_(std::max<int64_t>(request.offset(), 0)),
        size_(request.size()) {}

  // Loop thread.
  void start() { schedule_locked(); }
  void stop() {
    std::lock_guard lock(mutex_);
    over_ = true;
    blocks_.clear();
  }

  // The block to send from, or null: nothing now, or, with `*end`, nothing ever.
  std::shared_ptr<Block> front(bool* end) {
    std::lock_guard lock(mutex_);
    if (!blocks_.empty()) return blocks_.front();
    *end = over_;
    return nullptr;
  }
  void pop() {
    std::lock_guard lock(mutex_);
    if (!blocks_.empty()) blocks_.pop_front();
    if (!over_ && !reading_) schedule_locked();
  }
  Status status() const {
    std::lock_guard lock(mutex_);
    return status_;
  }

 private:
  void schedule_locked() {
    reading_ = true;
    context_->on_pool([self = shared_from_this()] { self->fill(); });
  }

  // Pool: reads ahead as far as it may.
  void fill() {
    Status status = opened_ ? Status() : open();
    for (;;) {
      std::shared_ptr<Block> block;
      if (status.ok() && size_ > 0) status = read(&block);
      std::lock_guard lock(mutex_);
      if (block && !over_) blocks_.push_back(std::move(block));
      if (!status.ok() || size_ == 0) {
        if (!over_) status_ = status;
        over_ = true;
      }
      reading_ = !over_ && blocks_.size() < kAhead;
      if (!reading_) break;
      // One is enough to go on with.
      if (blocks_.size() == 1) wake();
    }
    wake();
  }

  void wake() {
    context_->post([self = shared_from_this()] {
      if (auto call = self->call_.lock()) call->resume();
    });
  }

  Status open() {
    opened_ = true;
    DEPOT_ASSIGN(auto digest, content::Digest::parse(digest_));
    DEPOT_ASSIGN(blob_, store_->blob(digest));
    if (offset_ > blob_.size) {
      return Status(Code::kOutOfRange, Hop::kSession,
                    "read at " + std::to_string(offset_) + " of blob " + digest_ + ", which has " +
                        std::to_string(blob_.size) + " bytes");
    }
    int64_t rest = blob_.size - offset_;
    size_ = size_ <= 0 ? rest : std::min(size_, rest);
    return {};
  }

  Status read(std::shared_ptr<Block>* out) {
    auto block = std::make_shared<Block>();
    size_t want = static_cast<size_t>(std::min<int64_t>(size_, kBlock));
    block->bytes.reset(new uint8_t[kMaxHeader + want]);
    size_t have = 0;
    while (have < want) {
      ssize_t got = ::pread(blob_.fd.get(), block->bytes.get() + kMaxHeader + have, want - have,
                            offset_ + static_cast<int64_t>(have));
      if (got < 0 && errno == EINTR) continue;
      if (got <= 0) {
        // A blob that shrinks while it is read.
        return base::errno_error(got < 0 ? errno : EIO,
                                 "cannot read blob " + digest_ + " in " + store_->dir());
      }
      have += static_cast<size_t>(got);
    }
    // As containerd: counted from where this call began.
    uint8_t fields[kMaxHeader];
    size_t size = 0;
    if (sent_ > 0) {
      fields[size++] = 1 << 3;
      size += put_varint(fields + size, static_cast<uint64_t>(sent_));
    }
    fields[size++] = 2 << 3 | 2;
    size += put_varint(fields + size, have);
    block->begin = kMaxHeader - size - 5;
    block->end = kMaxHeader + have;
    uint8_t* prefix = block->bytes.get() + block->begin;
    prefix[0] = 0;
    for (int i = 0; i < 4; ++i)
      prefix[1 + i] = static_cast<uint8_t>((size + have) >> (24 - 8 * i) & 0xff);
    std::memcpy(prefix + 5, fields, size);
    offset_ += static_cast<int64_t>(have);
    size_ -= static_cast<int64_t>(have);
    sent_ += static_cast<int64_t>(have);
    *out = std::move(block);
    return {};
  }

  const std::shared_ptr<ContentContext> context_;
  const std::weak_ptr<http2::Call> call_;
  const std::shared_ptr<content::Store> store_;
  const std::string digest_;
  // The pool's alone, by one task at a time.
  bool opened_ = false;
  content::Blob blob_;
  int64_t offset_;
  int64_t size_;
  int64_t sent_ = 0;

  mutable std::mutex mutex_;
  std::deque<std::shared_ptr<Block>> blocks_;
  bool reading_ = false;
  bool over_ = false;
  Status status_;
};

class RegionBody final : public http2::BodySource {
 public:
  explicit RegionBody(std::shared_ptr<Region> region) : region_(std::move(region)) {}

  http2::BodyRead read(std::span<uint8_t> out) override {
    http2::BodyRead read;
    while (read.bytes < out.size() && next(&read.state)) {
      auto bytes = take(out.size() - read.bytes);
      std::memcpy(out.data() + read.bytes, bytes.data(), bytes.size());
      read.bytes += bytes.size();
    }
    return read;
  }

  http2::BodyLoan lend(size_t max) override {
    http2::BodyLoan loan;
    if (!next(&loan.state)) return loan;
    if (std::min(max, block_->end - block_->begin) < kLeastLoan) return loan;
    auto owner = block_;
    loan.bytes = {take(max), owner};
    return loan;
  }

 private:
  // Whether there is something to send; else `*state` says what there is.
  bool next(http2::BodyState* state) {
    if (!block_) {
      bool end = false;
      block_ = region_->front(&end);
      *state = end ? http2::BodyState::kEnd : http2::BodyState::kPending;
    }
    if (block_) *state = http2::BodyState::kMore;
    return block_ != nullptr;
  }

  std::span<const uint8_t> take(size_t max) {
    size_t size = std::min(max, block_->end - block_->begin);
    std::span<const uint8_t> bytes(block_->bytes.get() + block_->begin, size);
    block_->begin += size;
    if (block_->begin == block_->end) {
      done_ = std::move(block_);  // `bytes` lie in it
      block_ = nullptr;
      region_->pop();
    }
    return bytes;
  }

  std::shared_ptr<Region> region_;
  std::shared_ptr<Block> block_;
  std::shared_ptr<Block> done_;
};

class Read final : public http2::CallHandler {
 public:
  Read(std::shared_ptr<http2::Call> call, const Options& options,
       std::shared_ptr<ContentContext> context)
      : call_(std::move(call)), options_(options), context_(std::move(context)) {}

  void on_message(std::span<const uint8_t> message) override {
    if (region_) return;
    proto::ReadContentRequest request;
    auto store = store_of(call_->metadata(), options_);
    if (!store.ok()) return call_->finish(store.status());
    if (!request.ParseFromArray(message.data(), static_cast<int>(message.size()))) {
      return call_->finish(
          Status(Code::kInvalidArgument, Hop::kSession, "a content request cannot be parsed"));
    }
    region_ = std::make_shared<Region>(context_, call_, std::move(*store), request);
    call_->stream(std::make_unique<RegionBody>(region_),
                  [region = region_] { return region->status(); });
    region_->start();
  }

  void on_half_close() override {
    if (!region_)
      call_->finish(Status(Code::kInternal, Hop::kSession, "the request has no message"));
  }

  // Also of a reader that had enough, which the daemon's breaks off.
  void on_end(const Status&) override {
    if (!region_) return;
    Status status = region_->status();
    if (status.code() != Code::kNotFound) context_->note(status);
    region_->stop();
  }

 private:
  std::shared_ptr<http2::Call> call_;
  const Options& options_;
  std::shared_ptr<ContentContext> context_;
  std::shared_ptr<Region> region_;
};

}  // namespace

void add_content_read(http2::GrpcServer& server, const Options& options,
                      const std::shared_ptr<ContentContext>& context) {
  constexpr size_t kMaxRequest = 4 << 10;
  server.add(
      std::string(wire::kContentRead),
      [&options, context](auto call) {
        return std::make_unique<Read>(std::move(call), options, context);
      },
      kMaxRequest);
}

}  // namespace depot::session

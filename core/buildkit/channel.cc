#include "buildkit/channel.h"

#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/slice.h>

#include <atomic>
#include <cassert>
#include <condition_variable>
#include <mutex>
#include <unordered_set>

#include "buildkit/connection.h"
#include "buildkit/errors.h"
#include "buildkit/fork_check.h"
#include "buildkit/identity.h"

namespace depot::buildkit {

using base::Code;
using base::Hop;
using base::Status;

std::string Message::flatten() const {
  std::string out;
  out.reserve(size());
  for (auto slice : slices()) out.append(reinterpret_cast<const char*>(slice.data()), slice.size());
  return out;
}

// --- calls -------------------------------------------------------------------------------------

class ReceivedMessage final : public Message {
 public:
  explicit ReceivedMessage(const grpc::ByteBuffer& buffer) {
    (void)buffer.Dump(&owned_);
    slices_.reserve(owned_.size());
    for (const auto& slice : owned_) {
      size_ += slice.size();
      if (slice.size() > 0) slices_.emplace_back(slice.begin(), slice.size());
    }
  }
  size_t size() const override { return size_; }
  const std::vector<std::span<const uint8_t>>& slices() const override { return slices_; }

 private:
  std::vector<grpc::Slice> owned_;
  std::vector<std::span<const uint8_t>> slices_;
  size_t size_ = 0;
};

class ChannelImpl;

class CallImpl final : public Call, public std::enable_shared_from_this<CallImpl> {
 public:
  CallImpl(ChannelImpl* channel, CallObserver observer)
      : channel_(channel), observer_(std::move(observer)) {}

  void start(CallOptions options, bool gzip);

  bool write(std::span<const uint8_t> head, const std::vector<base::SharedBytes>& pieces) override;
  bool writable() const override { return started_ && !writing_ && !closing_ && !over_; }
  void half_close() override;
  void resume_reading() override;
  void cancel() override {
    if (over_) return;
    cancelled_ = true;
    context_.TryCancel();
    resume_reading();  // the end is told by a read: a held call has none under way
  }

 private:
  // A completion-queue tag that knows what it is the end of, and keeps the call alive until then.
  class Op final : public Tag {
   public:
    using Handler = void (CallImpl::*)(bool ok);
    Op(CallImpl* call, Handler handler) : call_(call), handler_(handler) {}
    void* arm() {
      keep_ = call_->shared_from_this();
      return static_cast<Tag*>(this);
    }
    void complete(bool ok) override {
      auto keep = std::move(keep_);
      (call_->*handler_)(ok);
    }

   private:
    CallImpl* call_;
    Handler handler_;
    std::shared_ptr<CallImpl> keep_;
  };

  void on_started(bool ok);
  void on_read(bool ok);
  void on_written(bool ok);
  void on_half_closed(bool ok);
  void on_finished(bool ok);
  void read_next();
  void finish();

  ChannelImpl* channel_;
  CallObserver observer_;
  grpc::ClientContext context_;
  std::unique_ptr<grpc::GenericClientAsyncReaderWriter> stream_;
  grpc::ByteBuffer incoming_;
  grpc::Status status_;
  bool started_ = false, writing_ = false, reading_ = false, held_ = false;
  bool closing_ = false, half_closed_ = false, finishing_ = false, over_ = false;
  bool cancelled_ = false;
  Op start_op_{this, &CallImpl::on_started};
  Op read_op_{this, &CallImpl::on_read};
  Op write_op_{this, &CallImpl::on_written};
  Op half_close_op_{this, &CallImpl::on_half_closed};
  Op finish_op_{this, &CallImpl::on_finished};
};

class ChannelImpl final : public Channel {
 public:
  ChannelImpl(std::shared_ptr<Connection> connection, std::weak_ptr<IdleConnections> idle)
      : connection_(std::move(connection)), idle_(std::move(idle)) {}

  ~ChannelImpl() override { stop(); }

  base::Loop& loop() override { return connection_->loop(); }
  const std::string& address() const override { return connection_->endpoint().address; }
  bool secured() const override { return connection_->endpoint().tls.has_value(); }
  Status check_identity() const override {
    const auto& identity = connection_->endpoint().tls;
    return identity ? buildkit::check_identity(*identity) : Status();
  }
  bool reconnects() const override { return !connection_->dialled(); }
  Status explain(const Status& status) const override {
    const Dialled* dialled = connection_->dialled();
    bool lost = status.hop() == Hop::kMachine || status.hop() == Hop::kSession;
    return dialled != nullptr && lost && usable_here() ? dialled->explain(status) : status;
  }
  bool usable_here() const override { return connection_->usable_here(); }

  std::shared_ptr<Call> start(CallOptions options, CallObserver observer) override {
    assert(loop().on_loop_thread());
    if (stopping_) {
      observer.on_done(Status(Code::kCancelled, Hop::kMachine, "the connection was closed"));
      return nullptr;
    }
    auto call = std::make_shared<CallImpl>(this, std::move(observer));
    calls_.insert(call.get());
    call->start(std::move(options), connection_->endpoint().gzip);
    return call;
  }

  std::shared_ptr<Call> unary(CallOptions options,
                              std::function<void(base::Result<std::string>)> done) override {
    auto response = std::make_shared<std::optional<std::string>>();
    CallObserver observer;
    observer.on_message = [response](const Message& message) {
      *response = message.flatten();
      return true;
    };
    observer.on_done = [response, done = std::move(done)](Status status) {
      if (!status.ok()) return done(std::move(status));
      if (!response->has_value())
        return done(
            Status(Code::kInternal, Hop::kMachine, "the builder answered without a message"));
      done(std::move(**response));
    };
    return start(std::move(options), std::move(observer));
  }

  void stop() override {
    {
      std::lock_guard lock(mutex_);
      if (stopped_) return;
      stopped_ = true;
    }
    // In a forked child gRPC's threads are gone: nothing can be waited for, so nothing is touched.
    if (!usable_here()) return;
    loop().post([this] {
      stopping_ = true;
      auto calls = calls_;
      for (CallImpl* call : calls) call->cancel();
      maybe_ended();
    });
    {
      std::unique_lock lock(mutex_);
      change_.wait(lock, [this] { return ended_; });
    }
    connection_->leave(idle_.lock().get());
  }

  // After its on_done.
  void call_ended(CallImpl* call) {
    calls_.erase(call);
    maybe_ended();
  }

  void heard() { connection_->heard(); }

  CqLoop& cq_loop() { return connection_->loop(); }
  grpc::GenericStub& stub() { return connection_->stub(); }

 private:
  void maybe_ended() {
    if (!stopping_ || !calls_.empty()) return;
    std::lock_guard lock(mutex_);
    ended_ = true;
    change_.notify_all();  // locked: whoever waits may be about to delete this
  }

  const std::shared_ptr<Connection> connection_;
  const std::weak_ptr<IdleConnections> idle_;
  std::mutex mutex_;
  std::condition_variable change_;
  bool stopped_ = false;   // guarded by mutex_
  bool ended_ = false;     // guarded by mutex_
  bool stopping_ = false;  // loop thread
  std::unordered_set<CallImpl*> calls_;
};

void CallImpl::start(CallOptions options, bool gzip) {
  for (auto& [key, value] : options.metadata) context_.AddMetadata(key, value);
  if (options.timeout) context_.set_deadline(std::chrono::system_clock::now() + *options.timeout);
  if (gzip) context_.set_compression_algorithm(GRPC_COMPRESS_GZIP);
  bool single = options.request.has_value();
  // With one request, headers, message and half-close leave in one batch (and one packet).
  if (single) context_.set_initial_metadata_corked(true);
  stream_ = channel_->stub().PrepareCall(&context_, std::string(options.method),
                                         channel_->cq_loop().queue());
  if (single) {
    stream_->StartCall(nullptr);  // corked: no tag comes back
    started_ = closing_ = half_closed_ = true;
    grpc::Slice slice(*options.request);
    writing_ = true;
    stream_->WriteLast(grpc::ByteBuffer(&slice, 1), grpc::WriteOptions(), write_op_.arm());
    read_next();
  } else {
    stream_->StartCall(start_op_.arm());
  }
}

void CallImpl::on_started(bool ok) {
  if (!ok) return finish();
  started_ = true;
  read_next();
  if (closing_) {
    if (!half_closed_) {
      half_closed_ = true;
      stream_->WritesDone(half_close_op_.arm());
    }
  } else if (observer_.on_writable) {
    observer_.on_writable();
  }
}

void CallImpl::read_next() {
  if (reading_ || finishing_ || over_) return;
  reading_ = true;
  stream_->Read(&incoming_, read_op_.arm());
}

void CallImpl::on_read(bool ok) {
  reading_ = false;
  if (!ok) return finish();
  channel_->heard();
  bool go_on = true;
  if (observer_.on_message) go_on = observer_.on_message(ReceivedMessage(incoming_));
  incoming_.Clear();
  if (go_on || cancelled_)
    read_next();
  else
    held_ = true;
}

void CallImpl::resume_reading() {
  if (!held_) return;
  held_ = false;
  read_next();
}

// What a slice holds until gRPC is done with it, on whichever of its threads that is. gRPC's own
// locks order that after the making; the flag says it to those who cannot see them
// (ThreadSanitizer).
struct Held {
  explicit Held(std::shared_ptr<const void> what) : owner(std::move(what)) { made.store(true); }
  static void let_go(void* held) {
    auto* self = static_cast<Held*>(held);
    if (self->made.load()) delete self;
  }
  std::shared_ptr<const void> owner;
  std::atomic<bool> made{false};
};

// What fits into the slice itself is copied.
static grpc::Slice to_slice(const base::SharedBytes& piece) {
  auto bytes = piece.bytes;
  if (!piece.owner || bytes.size() <= GRPC_SLICE_INLINED_SIZE) return {bytes.data(), bytes.size()};
  return {const_cast<uint8_t*>(bytes.data()), bytes.size(), Held::let_go, new Held(piece.owner)};
}

bool CallImpl::write(std::span<const uint8_t> head, const std::vector<base::SharedBytes>& pieces) {
  if (!writable()) return false;
  std::vector<grpc::Slice> slices;
  slices.reserve(1 + pieces.size());
  slices.emplace_back(head.data(), head.size());
  for (const auto& piece : pieces) slices.push_back(to_slice(piece));
  writing_ = true;
  // No buffer hint: it holds messages back until something else flushes, and the build hangs.
  stream_->Write(grpc::ByteBuffer(slices.data(), slices.size()), grpc::WriteOptions(),
                 write_op_.arm());
  return true;
}

void CallImpl::on_written(bool ok) {
  writing_ = false;
  if (!ok || over_) return;  // the read side reports why
  if (closing_) {
    if (!half_closed_) {
      half_closed_ = true;
      stream_->WritesDone(half_close_op_.arm());
    }
    return;
  }
  if (observer_.on_writable) observer_.on_writable();
}

void CallImpl::half_close() {
  if (closing_ || over_) return;
  closing_ = true;
  if (started_ && !writing_) {
    half_closed_ = true;
    stream_->WritesDone(half_close_op_.arm());
  }
}

void CallImpl::on_half_closed(bool) {}

void CallImpl::finish() {
  if (finishing_) return;
  finishing_ = true;
  stream_->Finish(&status_, finish_op_.arm());
}

void CallImpl::on_finished(bool) {
  over_ = true;
  auto observer = std::move(observer_);
  if (observer.on_done)
    observer.on_done(status_from_grpc(status_.error_code(), status_.error_message(),
                                      status_.error_details(), Hop::kMachine));
  observer = CallObserver();
  channel_->call_ended(this);
}

// --- opening -----------------------------------------------------------------------------------

static std::shared_ptr<Channel> over(std::shared_ptr<Connection> connection,
                                     std::weak_ptr<IdleConnections> idle) {
  // Nobody could be waited for in a forked child.
  auto let_go = [](ChannelImpl* impl) {
    if (impl->usable_here()) delete impl;
  };
  return {new ChannelImpl(std::move(connection), std::move(idle)), let_go};
}

base::Result<std::shared_ptr<Channel>> Channel::open(const Endpoint& endpoint,
                                                     const Patience& patience) {
  DEPOT_ASSIGN(auto connection, Connection::open(endpoint, patience));
  return over(std::move(connection), {});
}

// A connection over which nothing came for so long gets no more channels: it may have died without
// a word. The daemon asks for a live session's health every 5 s.
constexpr std::chrono::milliseconds kSilence{12000};

struct ChannelPool::Impl {
  std::mutex mutex;
  std::vector<std::weak_ptr<Connection>> connections;
  std::shared_ptr<IdleConnections> idle = std::make_shared<IdleConnections>();
};

ChannelPool::ChannelPool() : impl_(std::make_unique<Impl>()) {}
ChannelPool::~ChannelPool() = default;

base::Result<std::shared_ptr<Channel>> ChannelPool::open(const Endpoint& endpoint,
                                                         const Patience& patience) {
  DEPOT_TRY(check_process());  // before the lock: another thread of the parent may have held it
  auto& all = impl_->connections;
  std::unique_lock lock(impl_->mutex);
  std::erase_if(all, [](const auto& one) { return one.expired(); });
  for (const auto& one : all) {
    auto connection = one.lock();
    if (connection && connection->leads_to(endpoint) && connection->join(kSilence))
      return over(std::move(connection), impl_->idle);
  }
  // What takes its time is nothing that others are to wait for.
  DEPOT_ASSIGN(Address address, parse_address(endpoint.address));
  if (address.dialled()) lock.unlock();
  DEPOT_ASSIGN(auto connection, Connection::open(endpoint, patience));
  if (!lock) lock.lock();
  all.push_back(connection);
  return over(std::move(connection), impl_->idle);
}

}  // namespace depot::buildkit

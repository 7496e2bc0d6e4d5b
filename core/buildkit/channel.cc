#include "buildkit/channel.h"

#include <grpcpp/channel.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/slice.h>
#include <unistd.h>

#include <cassert>
#include <deque>
#include <unordered_set>

#include "buildkit/cq_loop.h"
#include "buildkit/errors.h"
#include "buildkit/identity.h"
#include "buildkit/quiet.h"

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

class ChannelImpl final : public Channel, public std::enable_shared_from_this<ChannelImpl> {
 public:
  ChannelImpl(std::shared_ptr<grpc::Channel> channel, const Endpoint& endpoint, base::LogSink log)
      : channel_(std::move(channel)),
        stub_(channel_),
        address_(endpoint.address),
        gzip_(endpoint.gzip),
        identity_(endpoint.tls),
        log_(std::move(log)) {}

  ~ChannelImpl() override { stop(); }

  base::Loop& loop() override { return loop_; }
  const std::string& address() const override { return address_; }
  bool secured() const override { return identity_.has_value(); }
  Status check_identity() const override {
    return identity_ ? buildkit::check_identity(*identity_) : Status();
  }
  bool usable_here() const override { return owner_ == getpid(); }

  std::shared_ptr<Call> start(CallOptions options, CallObserver observer) override {
    assert(loop_.on_loop_thread());
    if (stopping_) {
      observer.on_done(Status(Code::kCancelled, Hop::kMachine, "the connection was closed"));
      return nullptr;
    }
    auto call = std::make_shared<CallImpl>(this, std::move(observer));
    calls_.insert(call.get());
    call->start(std::move(options), gzip_);
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
      std::lock_guard lock(stop_mutex_);
      if (stopped_) return;
      stopped_ = true;
    }
    // In a forked child gRPC's threads are gone: nothing can be waited for, so nothing is touched.
    if (!usable_here()) return;
    loop_.post([this] {
      stopping_ = true;
      auto calls = calls_;
      for (CallImpl* call : calls) call->cancel();
      maybe_shut_down();
    });
    loop_.join();
  }

  void call_ended(CallImpl* call) {
    calls_.erase(call);
    maybe_shut_down();
  }

  CqLoop& cq_loop() { return loop_; }
  grpc::GenericStub& stub() { return stub_; }

 private:
  void maybe_shut_down() {
    if (stopping_ && calls_.empty()) loop_.shut_down();
  }

  CqLoop loop_;
  std::shared_ptr<grpc::Channel> channel_;
  grpc::GenericStub stub_;
  std::string address_;
  bool gzip_;
  const std::optional<TlsIdentity> identity_;
  base::LogSink log_;
  pid_t owner_ = getpid();
  std::mutex stop_mutex_;
  bool stopped_ = false;
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

// A slice that holds `piece` until gRPC is done with it. What fits into the slice itself is copied.
static grpc::Slice to_slice(const base::SharedBytes& piece) {
  auto bytes = piece.bytes;
  if (!piece.owner || bytes.size() <= GRPC_SLICE_INLINED_SIZE) return {bytes.data(), bytes.size()};
  using Owner = std::shared_ptr<const void>;
  return {const_cast<uint8_t*>(bytes.data()), bytes.size(),
          [](void* owner) { delete static_cast<Owner*>(owner); }, new Owner(piece.owner)};
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
  channel_->call_ended(this);
  if (observer.on_done)
    observer.on_done(status_from_grpc(status_.error_code(), status_.error_message(),
                                      status_.error_details(), Hop::kMachine));
}

// --- opening -----------------------------------------------------------------------------------

base::Result<std::shared_ptr<Channel>> Channel::open(const Endpoint& endpoint, base::LogSink log) {
  DEPOT_ASSIGN(Address address, parse_address(endpoint.address));
  if (!address.is_unix && !endpoint.tls && !address.loopback() && !endpoint.allow_plaintext) {
    return Status(Code::kFailedPrecondition, Hop::kUsage,
                  "plain text to " + endpoint.address + " is refused: it is not on this computer")
        .with_hint("give TLS files, or allow plain text explicitly");
  }
  quiet_grpc();
  grpc::ChannelArguments arguments;
  int max_message = static_cast<int>(
      std::min<int64_t>(std::max<int64_t>(endpoint.max_message, 1 << 20), INT32_MAX));
  arguments.SetMaxReceiveMessageSize(max_message);
  // What we send stays under 4 MiB (older daemons' limit) by construction.
  arguments.SetMaxSendMessageSize(16 << 20);
  // An error's details travel in a trailer, and hold the whole Dockerfile: by gRPC's default of 8
  // KiB the daemon would reset the stream instead, and the reason be lost. Go's clients take 16
  // MiB.
  arguments.SetInt(GRPC_ARG_MAX_METADATA_SIZE, 16 << 20);
  // A machine that is just starting is asked again quickly; gRPC's default is a second and more.
  arguments.SetInt(GRPC_ARG_INITIAL_RECONNECT_BACKOFF_MS, 20);
  arguments.SetInt(GRPC_ARG_MAX_RECONNECT_BACKOFF_MS, 500);
  // Also the least time one attempt gets: long enough for a slow TLS handshake.
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 20000);
  // A connection that died silently is noticed in the end. Not more often: a Go server without a
  // policy of its own answers pings closer than 5 minutes with GOAWAY.
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, 330000);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 20000);
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetUserAgentPrefix("libdepot");

  std::string target;
  std::shared_ptr<grpc::ChannelCredentials> credentials;
  if (address.is_unix) {
    target = "unix:" + address.path;
    arguments.SetString(GRPC_ARG_DEFAULT_AUTHORITY, "localhost");
    // No proxy stands between us and a socket file.
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  } else {
    bool v6 = address.host.find(':') != std::string::npos;
    target = "dns:///" + (v6 ? "[" + address.host + "]" : address.host) + ":" + address.port;
    if (address.loopback()) arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  }
  if (endpoint.tls) {
    if (endpoint.tls->cert_pem.empty() != endpoint.tls->key_pem.empty()) {
      return Status(Code::kInvalidArgument, Hop::kMachine,
                    "a client certificate needs its key, and a key its certificate");
    }
    grpc::SslCredentialsOptions ssl;
    ssl.pem_root_certs = endpoint.tls->ca_pem;
    ssl.pem_cert_chain = endpoint.tls->cert_pem;
    ssl.pem_private_key = std::string(endpoint.tls->key_pem.reveal());
    credentials = grpc::SslCredentials(ssl);
    base::wipe(ssl.pem_private_key);
    if (!endpoint.tls->server_name.empty()) {
      arguments.SetSslTargetNameOverride(endpoint.tls->server_name);
      arguments.SetString(GRPC_ARG_DEFAULT_AUTHORITY, endpoint.tls->server_name);
    }
  } else {
    credentials = grpc::InsecureChannelCredentials();
  }
  auto channel = grpc::CreateCustomChannel(target, credentials, arguments);
  // In a forked child there are no threads to join, and gRPC's end would shut the parent's socket
  // down: what the child lets go of stays as it is.
  auto let_go = [](ChannelImpl* impl) {
    if (impl->usable_here()) delete impl;
  };
  return std::shared_ptr<Channel>(std::shared_ptr<ChannelImpl>(
      new ChannelImpl(std::move(channel), endpoint, std::move(log)), let_go));
}

}  // namespace depot::buildkit

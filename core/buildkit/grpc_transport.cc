// gRPC's transport: a channel of its C++ library, used at its leanest. Calls are raw (bytes in,
// bytes out) on its generic stub; one completion-queue thread does the I/O, the TLS and every
// call's bookkeeping. See transport.h for when it is used; gRPC's headers are included here and in
// cq_loop.h only.
#include <grpcpp/channel.h>
#include <grpcpp/create_channel.h>
#include <grpcpp/create_channel_posix.h>
#include <grpcpp/generic/generic_stub.h>
#include <grpcpp/security/credentials.h>
#include <grpcpp/support/byte_buffer.h>
#include <grpcpp/support/slice.h>

#include <algorithm>
#include <atomic>
#include <cassert>
#include <optional>
#include <utility>

#include "buildkit/cq_loop.h"
#include "buildkit/errors.h"
#include "buildkit/quiet.h"
#include "buildkit/transport.h"

namespace depot::buildkit {
namespace {

using base::Hop;

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

class GrpcTransport;

class CallImpl final : public Call, public std::enable_shared_from_this<CallImpl> {
 public:
  CallImpl(GrpcTransport* transport, CallObserver observer)
      : transport_(transport), observer_(std::move(observer)) {}

  void start(CallOptions options, bool gzip);

  bool write(std::span<const uint8_t> head, const std::vector<base::SharedBytes>& pieces) override;
  bool writable() const override {
    return started_ && !writing_ && !closing_ && !over_ && !cancelled_;
  }
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

  GrpcTransport* transport_;
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

class GrpcTransport final : public Transport {
 public:
  GrpcTransport(std::shared_ptr<grpc::Channel> channel, bool gzip)
      : channel_(std::move(channel)), stub_(channel_), gzip_(gzip) {}

  base::Loop& loop() override { return loop_; }
  std::shared_ptr<Call> start(CallOptions options, CallObserver observer) override {
    assert(loop_.on_loop_thread());
    auto call = std::make_shared<CallImpl>(this, std::move(observer));
    call->start(std::move(options), gzip_);
    return call;
  }
  void close() override {
    stub_.reset();
    channel_ = nullptr;  // closes it
    loop_.shut_down();
  }
  void join() override { loop_.join(); }

  grpc::GenericStub& stub() { return *stub_; }
  grpc::CompletionQueue* queue() { return loop_.queue(); }
  void note_heard() { heard(); }

 private:
  CqLoop loop_;
  std::shared_ptr<grpc::Channel> channel_;  // null when closed
  std::optional<grpc::GenericStub> stub_;   // none when closed
  const bool gzip_;
};

void CallImpl::start(CallOptions options, bool gzip) {
  for (auto& [key, value] : options.metadata) context_.AddMetadata(key, value);
  if (options.timeout) context_.set_deadline(std::chrono::system_clock::now() + *options.timeout);
  if (gzip) context_.set_compression_algorithm(GRPC_COMPRESS_GZIP);
  bool single = options.request.has_value();
  // With one request, headers, message and half-close leave in one batch (and one packet).
  if (single) context_.set_initial_metadata_corked(true);
  stream_ =
      transport_->stub().PrepareCall(&context_, std::string(options.method), transport_->queue());
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
  transport_->note_heard();
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
}

}  // namespace

base::Result<std::unique_ptr<Transport>> make_transport(const Address& address,
                                                        const Endpoint& endpoint,
                                                        base::UniqueFd given) {
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
  arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, static_cast<int>(kConnectTimeout.count()));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, static_cast<int>(kKeepaliveTime.count()));
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, static_cast<int>(kKeepaliveTimeout.count()));
  arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  arguments.SetUserAgentPrefix("libdepot");

  std::string target;
  std::shared_ptr<grpc::ChannelCredentials> credentials;
  if (address.kind == Address::Kind::kUnix && !address.engine) {
    target = "unix:" + address.path;
    arguments.SetString(GRPC_ARG_DEFAULT_AUTHORITY, "localhost");
    // No proxy stands between us and a socket file.
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  } else if (address.dialled()) {
    arguments.SetString(GRPC_ARG_DEFAULT_AUTHORITY, "localhost");
  } else {
    bool v6 = address.host.find(':') != std::string::npos;
    target = "dns:///" + (v6 ? "[" + address.host + "]" : address.host) + ":" + address.port;
    if (address.loopback()) arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
  }
  if (endpoint.tls) {
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
  std::shared_ptr<grpc::Channel> channel;
  if (address.dialled()) {
    channel = grpc::CreateCustomInsecureChannelFromFd("localhost", given.release(), arguments);
  } else {
    channel = grpc::CreateCustomChannel(target, credentials, arguments);
  }
  return std::unique_ptr<Transport>(
      std::make_unique<GrpcTransport>(std::move(channel), endpoint.gzip));
}

}  // namespace depot::buildkit

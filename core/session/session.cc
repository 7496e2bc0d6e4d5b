#include "session/session.h"

#include <cassert>
#include <utility>

#include "http2/grpc.h"
#include "http2/server.h"
#include "session/bytes_message.h"
#include "session/services.h"
#include "wire/methods.h"

namespace depot::session {
namespace {

using base::Code;
using base::Hop;
using base::Status;

// Payload of one outer message: seven full frames, of which none has to wait for the next one.
// 64 KiB to 1 MiB cost the same CPU; this keeps a health answer's wait and the memory low, and
// stays under malloc's mmap threshold of 128 KiB.
constexpr size_t kFrame = 9 + 16384;
constexpr size_t kChunk = 7 * kFrame;
// A frame alone at first: the daemon's windows of both HTTP/2 layers begin with 64 KiB and grow by
// what its pings measure. A message that is larger than the outer window takes two round trips, its
// inner frames are seen only then, and the inner ping's answer waits behind it.
constexpr size_t kFirstChunk = kFrame;
constexpr size_t kWarm = 1 << 20;

class SessionImpl final : public Session, public std::enable_shared_from_this<SessionImpl> {
 public:
  SessionImpl(const std::shared_ptr<buildkit::Channel>& channel, Options options,
              std::function<void(Status)> on_end)
      : channel_(*channel),
        weak_channel_(channel),
        options_(std::move(options)),
        on_end_(std::move(on_end)) {}

  void start() {
    Post post = [channel = weak_channel_, session = weak_from_this()](base::Loop::Task task) {
      auto alive = channel.lock();
      if (!alive) return;
      alive->loop().post([session, task = std::move(task)] {
        if (auto self = session.lock()) self->run(task);
      });
    };
    add_health(server_);
    add_file_sync(server_, options_, post);
    add_file_send(server_, options_, post);
    add_content(server_, options_, post);
    if (options_.auth) add_auth(server_, options_.auth, post, options_.on_failed);
    add_secrets(server_, options_, post);
    add_ssh(server_, options_, post);
    add_upload(server_, options_, post);
    http2::ServerOptions engine;
    engine.manual_window = true;  // exports are held back by their sinks, stream by stream
    engine_ = http2::ServerConnection::create(
        engine, [this](http2::Stream& stream) { return server_.accept(stream); });

    buildkit::CallOptions call;
    call.method = wire::kControlSession;
    call.metadata.emplace_back("x-docker-expose-session-uuid", options_.id);
    call.metadata.emplace_back("x-docker-expose-session-sharedkey", options_.shared_key);
    // Daemons before 0.16 want a display name to be there; nobody reads it.
    call.metadata.emplace_back("x-docker-expose-session-name", "libdepot");
    for (auto& path : server_.paths())
      call.metadata.emplace_back("x-docker-expose-session-grpc-method", path);

    buildkit::CallObserver observer;
    auto self = shared_from_this();
    observer.on_message = [self](const buildkit::Message& message) {
      const auto& slices = message.slices();
      for (size_t i = 0; i + 1 < slices.size(); ++i) self->received(slices[i], false);
      self->received(slices.empty() ? std::span<const uint8_t>() : slices.back(), true);
      return true;  // always: the reader never waits for a handler
    };
    observer.on_part = [self](std::span<const uint8_t> bytes, size_t left) {
      self->received(bytes, left == 0);
    };
    observer.on_writable = [self] {
      if (self->timer_ == 0 && !self->probe_) self->watch();
      if (auto started = std::exchange(self->options_.on_started, nullptr)) started();
      self->pump();
    };
    observer.on_done = [self](Status status) { self->ended(std::move(status)); };
    call_ = channel_.start(std::move(call), std::move(observer));
  }

  void close() override {
    closing_ = true;
    if (call_) call_->half_close();
  }

  void cancel() override {
    closing_ = true;
    if (call_) call_->cancel();
  }

 private:
  // What a service posted: afterwards there may be something to send.
  void run(const base::Loop::Task& task) {
    if (!engine_) return;
    task();
    pump();
  }

  void watch() {
    timer_ = channel_.loop().run_after(options_.silence, [weak = weak_from_this()] {
      auto self = weak.lock();
      if (!self) return;
      self->timer_ = 0;
      if (std::exchange(self->heard_, false))
        self->watch();
      else
        self->ask();
    });
  }

  // Whatever it answers, it is there; also that it does not know the method.
  void ask() {
    buildkit::CallOptions call;
    call.method = wire::kControlListWorkers;
    call.request = "";
    call.timeout = options_.patience;
    probe_ = channel_.unary(std::move(call), [weak = weak_from_this()](auto answer) {
      auto self = weak.lock();
      if (!self || !self->call_) return;
      self->probe_ = nullptr;
      if (self->heard_ || answer.status().code() != Code::kDeadlineExceeded) return self->watch();
      auto least = std::chrono::duration_cast<std::chrono::seconds>(self->options_.silence +
                                                                    self->options_.patience);
      self->failure_ = Status(Code::kUnavailable, Hop::kSession,
                              "nothing was heard of the builder at " + self->channel_.address() +
                                  " for " + std::to_string(least.count()) + " s")
                           .with_hint("the connection is lost, or the builder is stopped");
      self->call_->cancel();
    });
  }

  // The next bytes of a message; `last`: it ends with them.
  void received(std::span<const uint8_t> bytes, bool last) {
    heard_ = true;
    if (!engine_ || !failure_.ok()) return;
    bool sound = reader_.feed(bytes, last, [this](std::span<const uint8_t> data) {
      if (!failure_.ok()) return;
      if (Status status = engine_->receive(data); !status.ok()) failure_ = std::move(status);
    });
    if (!sound && failure_.ok())
      failure_ = Status(Code::kInternal, Hop::kSession, "a session message cannot be parsed");
    if (!failure_.ok()) {
      call_->cancel();
      return;
    }
    if (last) pump();
  }

  void pump() {
    if (!call_ || !engine_ || !call_->writable() || !engine_->wants_write()) return;
    http2::Output out(sent_ < kWarm ? kFirstChunk : kChunk);
    size_t size = engine_->produce(out);
    if (size == 0) return;
    sent_ += size;
    uint8_t header[kBytesMessageHeader];
    write_bytes_message_header(header, size);
    call_->write(header, out.pieces());
  }

  void ended(Status status) {
    auto self = shared_from_this();
    call_ = nullptr;
    channel_.loop().cancel_timer(timer_);
    if (probe_) probe_->cancel();
    probe_ = nullptr;
    engine_ = nullptr;  // ends every handler; their senders stop
    // Before the end is told: whoever waits for it is to be the one that lets go of pools and
    // sinks.
    options_ = Options();
    if (!failure_.ok())
      status = failure_;
    else if (closing_)
      status = Status();  // however the stream ended, we had asked for it
    else if (status.ok())
      status = Status(Code::kUnavailable, Hop::kSession, "the builder ended the session");
    else
      status = Status(status.error()).with_prefix("session");
    auto on_end = std::move(on_end_);
    if (on_end) on_end(std::move(status));
  }

  buildkit::Channel& channel_;  // used on its own thread alone
  std::weak_ptr<buildkit::Channel> weak_channel_;
  Options options_;
  std::function<void(Status)> on_end_;
  http2::GrpcServer server_;
  std::unique_ptr<http2::ServerConnection> engine_;
  BytesMessageReader reader_;
  std::shared_ptr<buildkit::Call> call_;
  std::shared_ptr<buildkit::Call> probe_;
  base::Loop::TimerId timer_ = 0;
  bool heard_ = false;
  Status failure_;
  bool closing_ = false;
  size_t sent_ = 0;  // inner bytes
};

}  // namespace

std::shared_ptr<Session> Session::open(const std::shared_ptr<buildkit::Channel>& channel,
                                       Options options, std::function<void(Status)> on_end) {
  assert(channel->loop().on_loop_thread());
  auto session = std::make_shared<SessionImpl>(channel, std::move(options), std::move(on_end));
  session->start();
  return session;
}

}  // namespace depot::session

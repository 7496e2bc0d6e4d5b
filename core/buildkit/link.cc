#include "buildkit/link.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <utility>

#include "buildkit/transport.h"

namespace depot::buildkit {

using base::Code;
using base::Hop;
using base::Status;
using base::UniqueFd;

namespace {

// What is read with one call, and sealed and sent with one.
constexpr size_t kRead = 64 << 10;
constexpr size_t kWrite = 64 << 10;
// In one turn, before timers and others have theirs.
constexpr size_t kReadsPerTurn = 16;
constexpr size_t kWritesPerTurn = 16;
// While at least kMuch comes in a turn, the loop is woken for each kBatch of it, or after
// kBatchTime, instead of for every packet: a large export takes a seventh less CPU, and no longer.
constexpr size_t kMuch = 32 << 10;
constexpr int kBatch = 128 << 10;
constexpr std::chrono::milliseconds kBatchTime(1);
// Of what had come when the other side took no more: more than sockets hold.
constexpr size_t kLastReads = 256;

Status unavailable(std::string message) {
  return Status(Code::kUnavailable, Hop::kMachine, std::move(message)).with_retryable(true);
}

Status no_more_calls() {
  return unavailable("the connection takes no more calls");
}

}  // namespace

Link::~Link() {
  fail(unavailable("the connection was closed"));
}

void Link::connect(const Target& target) {
  secured_ = target.tls != nullptr;
  timer_ = loop_.run_after(kConnectTimeout, [this] {
    timer_ = 0;
    fail(unavailable("no connection within " + std::to_string(kConnectTimeout.count() / 1000) +
                     " s"));
  });
  connector_.start(target.address, target.proxy,
                   [this, name = target.name](base::Result<UniqueFd> fd) {
                     if (fd.ok())
                       connected(*std::move(fd), name);
                     else
                       fail(fd.status());
                   });
  if (!target.tls || !failure_.ok()) return;
  // While the connection is being made: this takes some milliseconds.
  auto context = target.tls();
  if (!context.ok()) return fail(context.status());
  tls_ = *context;
  if (connected_fd_.valid()) connected(std::move(connected_fd_), target.name);
}

void Link::connected(UniqueFd fd, const std::string& name) {
  if (!secured_) return take(std::move(fd));
  if (tls_ == nullptr) {
    connected_fd_ = std::move(fd);  // quicker than the context
    return;
  }
  auto stream = ByteStream::tls(std::move(fd), *tls_, name);
  if (!stream.ok()) return fail(stream.status());
  stream_ = *std::move(stream);
  loop_.watch(stream_->fd(), watched_ = EPOLLIN, [this](uint32_t events) { on_event(events); });
  shake_hands();
}

void Link::take(UniqueFd fd) {
  stream_ = ByteStream::plain(std::move(fd));
  loop_.watch(stream_->fd(), watched_ = EPOLLIN, [this](uint32_t events) { on_event(events); });
  greet();
}

void Link::shake_hands() {
  auto done = stream_->shake_hands();
  if (!done.ok()) return fail(done.status());
  if (!*done) return flush();
  greet();
  // What came right behind the handshake is inside TLS, of which the socket says nothing.
  if (failure_.ok()) read();
}

void Link::greet() {
  engine_ = http2::ClientConnection::create({});
  if (!engine_) return fail(base::internal_error("out of memory"));
  buffer_.resize(kRead);
}

void Link::ready() {
  ready_ = true;
  if (timer_ != 0) loop_.cancel_timer(std::exchange(timer_, 0));
  watch_over(kKeepaliveTime);
  for (const auto& call : calls_)
    if (!call->over() && !call->send(*engine_)) call->fail(no_more_calls());
}

void Link::start(std::shared_ptr<ExchangeCall> call) {
  if (!ready_ || call->send(*engine_))
    calls_.push_back(std::move(call));
  else
    call->fail(no_more_calls());
}

void Link::on_event(uint32_t events) {
  if (!failure_.ok()) return;
  if ((events & ~EPOLLOUT) != 0) stream_->readable();
  if (!engine_) {
    if ((events & EPOLLOUT) != 0) flush();
    return shake_hands();
  }
  // What is to be sent is sent at the end of the turn, whatever the event.
  if ((events & ~EPOLLOUT) != 0) read();
}

void Link::read() {
  size_t came = receive();
  if (failure_.ok()) batch(came >= kMuch);
}

size_t Link::receive() {
  size_t came = 0;
  for (size_t i = 0; i < kReadsPerTurn; ++i) {
    auto got = stream_->read(buffer_);
    if (!got.ok()) {
      fail(got.status());
      return came;
    }
    if (*got == 0) return came;
    came += *got;
    last_heard_ = Clock::now();
    pinged_ = false;
    heard_();
    // Its failure is told by pump(), after the GOAWAY that says why.
    if (!engine_->receive({buffer_.data(), *got}).ok()) return came;
    if (!ready_ && engine_->greeted()) ready();
  }
  // What is left may be inside TLS already, of which the socket says nothing.
  if (again_ == 0) {
    again_ = loop_.run_after(std::chrono::milliseconds(0), [this] {
      again_ = 0;
      if (failure_.ok()) read();
    });
  }
  return came;
}

void Link::batch(bool much) {
  if (much != batching_) {
    batching_ = much;
    int least = much ? kBatch : 1;
    // A socket that cannot do it wakes for everything, as before.
    (void)::setsockopt(stream_->fd(), SOL_SOCKET, SO_RCVLOWAT, &least, sizeof least);
  }
  if (batch_end_ != 0) loop_.cancel_timer(std::exchange(batch_end_, 0));
  if (!much) return;
  batch_end_ = loop_.run_after(kBatchTime, [this] {
    batch_end_ = 0;
    if (failure_.ok()) read();
  });
}

void Link::flush() {
  if (Status status = stream_->flush(); !status.ok()) return lost(std::move(status));
  watch_for(EPOLLIN | (stream_->unsent() > 0 ? EPOLLOUT : 0U));
}

void Link::pump() {
  forget_ended();
  if (!engine_ || !failure_.ok()) return;
  bool more = true;
  for (size_t i = 0; i < kWritesPerTurn && more && engine_->wants_write(); ++i) {
    if (stream_->unsent() >= kWrite) {
      flush();
      if (!failure_.ok()) return;
      if (stream_->unsent() > 0) return;
    }
    http2::Output out(kWrite);
    more = engine_->produce(out) > 0;
    if (Status status = stream_->write(out.pieces()); !status.ok()) return lost(std::move(status));
  }
  if (!engine_->failure().ok()) {
    (void)stream_->flush();  // our GOAWAY, which says why
    return fail(engine_->failure());
  }
  if (stream_->unsent() > 0)
    flush();
  else
    watch_for(EPOLLIN);
  // More than one turn is for: the next one comes at once.
  if (failure_.ok() && more && engine_->wants_write()) watch_for(EPOLLIN | EPOLLOUT);
}

void Link::watch_for(uint32_t events) {
  if (events == watched_) return;
  loop_.change(stream_->fd(), watched_ = events);
}

void Link::forget_ended() {
  std::erase_if(calls_, [](const auto& call) { return call->over(); });
}

void Link::watch_over(std::chrono::milliseconds delay) {
  timer_ = loop_.run_after(delay, [this] {
    timer_ = 0;
    auto silence =
        std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - last_heard_);
    if (pinged_) return fail(unavailable("nothing was heard for too long"));
    if (silence < kKeepaliveTime) return watch_over(kKeepaliveTime - silence);
    if (calls_.empty()) return watch_over(kKeepaliveTime);
    pinged_ = true;
    engine_->ping();
    watch_over(kKeepaliveTimeout);
  });
}

void Link::lost(Status status) {
  stream_->readable();
  if (!engine_) {
    auto done = stream_->shake_hands();
    return fail(done.ok() ? std::move(status) : done.status());
  }
  for (size_t i = 0; i < kLastReads; ++i) {
    auto got = stream_->read(buffer_);
    if (!got.ok()) return fail(got.status());
    if (*got == 0 || !engine_->receive({buffer_.data(), *got}).ok()) break;
  }
  fail(std::move(status));
}

void Link::fail(Status status) {
  if (!failure_.ok()) return;
  failure_ = std::move(status);
  if (timer_ != 0) loop_.cancel_timer(std::exchange(timer_, 0));
  if (again_ != 0) loop_.cancel_timer(std::exchange(again_, 0));
  if (batch_end_ != 0) loop_.cancel_timer(std::exchange(batch_end_, 0));
  for (const auto& call : calls_) call->fail(failure_);
  engine_ = nullptr;
  calls_.clear();
  if (!stream_) return;
  loop_.unwatch(stream_->fd());
  stream_ = nullptr;
}

void Link::close() {
  if (stream_) stream_->close();
}

}  // namespace depot::buildkit

#include "builderd/connection.h"

#include <sys/epoll.h>
#include <sys/socket.h>

#include <algorithm>
#include <cerrno>
#include <utility>

#include "base/secret.h"
#include "builderd/http2_call.h"

namespace depot::builderd {

using base::Code;
using base::Hop;
using base::Status;

namespace {

constexpr std::string_view kPreface = "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n";
constexpr size_t kOutputGoal = 128 << 10;  // more is not produced before some is written
constexpr size_t kPipelined = 64 << 10;    // bytes kept of requests that came early
// For peers that are not trusted: the largest message of a client, a batch of status, has 1 MiB and
// what is around it.
constexpr size_t kMaxStrangersBody = 2 << 20;
constexpr size_t kMaxStrangersBodies = 8 << 20;

ConnectionLimits limits_for(bool trusted, ConnectionLimits limits) {
  if (trusted) return limits;
  limits.max_body = std::min(limits.max_body, kMaxStrangersBody);
  limits.max_bodies = std::min(limits.max_bodies, kMaxStrangersBodies);
  return limits;
}

Status broken(std::string what) {
  return Status(Code::kUnavailable, Hop::kBuilder, std::move(what));
}

}  // namespace

Connection::Connection(base::EpollLoop& loop, base::UniqueFd fd, SSL_CTX* tls, bool trusted,
                       HttpService& service, ConnectionLimits limits)
    : loop_(loop),
      fd_(std::move(fd)),
      trusted_(trusted),
      service_(service),
      limits_(limits_for(trusted, limits)),
      tls_(tls ? std::make_unique<TlsPipe>(tls) : nullptr),
      http1_(
          limits_.max_body,
          [this](const std::string& target) {
            return service_.drops_body(target.substr(0, target.find('?')));
          },
          [this](const Http1Request& head) {
            if (trusted_) return true;
            http2::Headers headers;
            headers.add("authorization", std::string(head.header("authorization")));
            return service_.admits(headers);
          }) {}

Connection::~Connection() {
  loop_.cancel_timer(timer_);
  if (fd_.valid()) loop_.unwatch(fd_.get());
}

std::shared_ptr<Connection> Connection::start(base::EpollLoop& loop, base::UniqueFd fd,
                                              SSL_CTX* tls, bool trusted, HttpService& service,
                                              ConnectionLimits limits,
                                              std::function<void(Connection*)> on_close) {
  std::shared_ptr<Connection> self(
      new Connection(loop, std::move(fd), tls, trusted, service, limits));
  self->on_close_ = std::move(on_close);
  self->watched_ = EPOLLIN;
  loop.watch(self->fd_.get(), EPOLLIN, [weak = std::weak_ptr(self)](uint32_t events) {
    if (auto alive = weak.lock()) alive->on_events(events);
  });
  self->set_timer();
  return self;
}

void Connection::close() {
  if (!fd_.valid()) return;
  loop_.unwatch(fd_.get());
  fd_.reset();
  loop_.cancel_timer(timer_);
  // Posted: the caller still stands in our methods.
  loop_.post([self = shared_from_this()] {
    self->http2_.reset();
    if (self->on_close_) std::exchange(self->on_close_, nullptr)(self.get());
  });
}

// Starts the patience for what comes next.
void Connection::set_timer() {
  bool streams = http2_ && http2_->open_streams() > 0;
  bool between = protocol_ == Protocol::kHttp2 ? !streams : http1_.idle();
  // One patience for the whole of an HTTP/1.1 request, and for what comes before the first (TLS,
  // the preface): a byte now and then does not prolong it.
  bool begun = protocol_ == Protocol::kUnknown || (protocol_ == Protocol::kHttp1 && !between);
  bool same = timer_ != 0 && within_request_ && begun;
  if (same && !busy_ && !lingering_) return;
  loop_.cancel_timer(std::exchange(timer_, 0));
  // While the service works, its own deadlines count.
  if (busy_ || lingering_) return;
  within_request_ = !between || protocol_ == Protocol::kUnknown;
  auto patience = within_request_ ? limits_.request_patience : limits_.idle_patience;
  timer_ = loop_.run_after(patience, [weak = weak_from_this()] {
    auto self = weak.lock();
    if (!self) return;
    self->timer_ = 0;
    // Its requests have timers of their own; what may hang is only a client that does not read.
    bool all_read = self->written_ == self->output_.size();
    bool waits = (self->http2_ && self->http2_->open_streams() > 0) || self->http1_.dropping();
    if (waits && all_read) return self->set_timer();
    self->close();
  });
}

void Connection::on_events(uint32_t events) {
  if (!fd_.valid()) return;
  if (events & EPOLLOUT) write_out();
  if (fd_.valid() && (events & (EPOLLIN | EPOLLHUP | EPOLLERR))) read_some();
  // Gone for good, not only done with sending: nobody reads the answer, and epoll would go on
  // telling us.
  if (fd_.valid() && peer_done_ && (events & (EPOLLHUP | EPOLLERR))) close();
}

void Connection::read_some() {
  char buffer[64 << 10];
  ssize_t n = ::recv(fd_.get(), buffer, sizeof buffer, MSG_DONTWAIT);
  if (n < 0 && (errno == EAGAIN || errno == EINTR)) return;
  if (n < 0) return close();
  if (n == 0) {
    peer_done_ = true;
    // An HTTP/1.1 client may half-close after its request and still wait for the answer.
    if (protocol_ == Protocol::kHttp1 && busy_) return watch();
    return close();
  }
  if (lingering_) return;
  std::string_view bytes(buffer, static_cast<size_t>(n));
  std::string plaintext;
  Status status;
  if (tls_) {
    status = tls_->receive(bytes, plaintext);
    bytes = plaintext;
  }
  if (status.ok() && !bytes.empty()) status = take_plaintext(bytes);
  if (tls_) queue({});  // handshake bytes and alerts
  if (!fd_.valid()) return;
  if (http2_) pump();
  if (!status.ok() || (tls_ && tls_->closed())) {
    keep_alive_ = false;
    write_out();
    if (fd_.valid() && !lingering_ && !refused_) close();
    return;
  }
  write_out();
  if (fd_.valid()) set_timer();
}

Status Connection::take_plaintext(std::string_view bytes) {
  if (protocol_ == Protocol::kUnknown) {
    sniffed_.append(bytes);
    size_t n = std::min(sniffed_.size(), kPreface.size());
    bool may_be_http2 = std::string_view(sniffed_).substr(0, n) == kPreface.substr(0, n);
    if (may_be_http2 && n < kPreface.size()) return base::ok_status();
    protocol_ = may_be_http2 ? Protocol::kHttp2 : Protocol::kHttp1;
    if (may_be_http2) start_http2();
    std::string all = std::exchange(sniffed_, std::string());
    return take_plaintext(all);
  }
  if (protocol_ == Protocol::kHttp1) return take_http1(bytes);
  if (!http2_) return broken("no HTTP/2 engine");
  in_pump_ = true;
  Status status = http2_->receive({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
  in_pump_ = false;
  return status;
}

void Connection::start_http2() {
  auto wake = [weak = weak_from_this()] {
    auto self = weak.lock();
    if (!self || !self->fd_.valid() || self->in_pump_) return;
    self->pump();
    self->write_out();
  };
  http2::ServerOptions options;
  options.max_concurrent_streams = 128;
  options.max_header_list = 64 << 10;
  auto budget = std::make_shared<size_t>(limits_.max_bodies);
  http2_ = http2::ServerConnection::create(options, [this, wake, budget](http2::Stream& stream) {
    return make_http2_call(stream, {loop_, service_, trusted_, limits_.max_body,
                                    limits_.request_patience, limits_.linger, budget, wake});
  });
}

Status Connection::take_http1(std::string_view bytes) {
  if (busy_) {  // pipelined; parsed once the answer is given
    sniffed_.append(bytes);
    if (sniffed_.size() > kPipelined) watch();
    return base::ok_status();
  }
  Http1Parser::State state = http1_.feed(bytes);
  if (state == Http1Parser::State::kContinue) {
    queue("HTTP/1.1 100 Continue\r\n\r\n");
    state = http1_.feed({});
  }
  if (state == Http1Parser::State::kError) {
    refuse_http1(http1_.error_status());
    return broken("malformed request");
  }
  if (state != Http1Parser::State::kRequest) return base::ok_status();
  Http1Request parsed = http1_.take();
  busy_ = true;
  keep_alive_ = parsed.keep_alive && !finishing_;
  HttpRequest request;
  request.method = std::move(parsed.method);
  request.path = parsed.target.substr(0, parsed.target.find('?'));
  for (auto& [name, value] : parsed.headers) request.headers.add(std::move(name), std::move(value));
  request.body = std::move(parsed.body);
  request.trusted = trusted_;
  // Posted, so that a service which answers at once does not recurse through a pipeline of
  // requests.
  service_.handle(std::move(request), [weak = weak_from_this()](HttpResponse response) {
    auto self = weak.lock();
    if (!self) return;
    self->loop_.post([self, response = std::move(response)]() mutable {
      self->answer_http1(std::move(response));
    });
  });
  return base::ok_status();
}

void Connection::refuse_http1(int status) {
  keep_alive_ = false;
  refused_ = true;
  HttpResponse response = service_.refusal(status);
  std::vector<std::pair<std::string, std::string>> headers;
  for (const http2::Header& header : response.headers) {
    headers.emplace_back(header.name, header.value);
  }
  queue(http1_response_head(response.status, headers, response.body.size(), false));
  queue(response.body);
}

void Connection::answer_http1(HttpResponse response) {
  if (!fd_.valid()) return;
  busy_ = false;
  if (peer_done_ || finishing_) keep_alive_ = false;
  std::vector<std::pair<std::string, std::string>> headers;
  for (const http2::Header& header : response.headers) {
    headers.emplace_back(header.name, header.value);
  }
  queue(http1_response_head(response.status, headers, response.body.size(), keep_alive_));
  queue(response.body);
  write_out();
  if (!fd_.valid() || !keep_alive_) return;  // write_out closes once all is written
  std::string early = std::exchange(sniffed_, std::string());
  if (Status status = take_http1(early); !status.ok()) {
    write_out();
    return;
  }
  write_out();
  if (fd_.valid()) set_timer();
}

void Connection::pump() {
  if (!http2_ || in_pump_) return;
  in_pump_ = true;
  std::string buffer(64 << 10, '\0');
  while (output_.size() - written_ < kOutputGoal && http2_->wants_write()) {
    size_t n = http2_->produce({reinterpret_cast<uint8_t*>(buffer.data()), buffer.size()});
    if (n == 0) break;
    queue(std::string_view(buffer.data(), n));
  }
  in_pump_ = false;
  if (http2_->finished()) keep_alive_ = false;
}

void Connection::queue(std::string_view plaintext) {
  if (!tls_) {
    output_.append(plaintext);
    return;
  }
  if (!plaintext.empty() && !tls_->send(plaintext).ok()) keep_alive_ = false;
  output_.append(tls_->drain());
}

void Connection::write_out() {
  while (fd_.valid()) {
    while (written_ < output_.size()) {
      ssize_t n = ::send(fd_.get(), output_.data() + written_, output_.size() - written_,
                         MSG_NOSIGNAL | MSG_DONTWAIT);
      if (n < 0 && errno == EINTR) continue;
      if (n < 0 && errno == EAGAIN) return watch();
      if (n < 0) return close();
      written_ += static_cast<size_t>(n);
      set_timer();
    }
    // A response may have held a client's key.
    base::wipe(output_);
    written_ = 0;
    if (!http2_ || in_pump_ || !http2_->wants_write()) break;
    pump();
    if (output_.empty()) break;
  }
  if (!fd_.valid()) return;
  if (!keep_alive_ && !busy_) return end_output();
  watch();
}

// All is written and there will be no more. To close with bytes unread would make the kernel tell
// the client of a reset, and it might lose our answer over that.
void Connection::end_output() {
  if (!refused_ || lingering_) return lingering_ ? void() : close();
  lingering_ = true;
  ::shutdown(fd_.get(), SHUT_WR);
  loop_.cancel_timer(timer_);
  timer_ = loop_.run_after(limits_.linger, [weak = weak_from_this()] {
    if (auto self = weak.lock()) self->close();
  });
  watch();
}

void Connection::watch() {
  bool full = busy_ && sniffed_.size() > kPipelined;
  // A slow reader of an HTTP/2 connection stops being read, so that its requests do not pile up.
  bool behind = output_.size() - written_ > 4 * kOutputGoal;
  uint32_t events =
      (peer_done_ || full || behind ? 0u : EPOLLIN) | (written_ < output_.size() ? EPOLLOUT : 0u);
  if (events == watched_) return;
  watched_ = events;
  loop_.change(fd_.get(), events);
}

void Connection::finish() {
  if (!fd_.valid()) return;
  finishing_ = true;
  if (http2_) {
    http2_->shut_down();
    pump();
    if (http2_->open_streams() == 0) keep_alive_ = false;
  } else if (!busy_) {
    keep_alive_ = false;
  }
  write_out();
}

}  // namespace depot::builderd

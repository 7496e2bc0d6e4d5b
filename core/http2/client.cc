#include "http2/client.h"

#include <nghttp2/nghttp2.h>

#include <cassert>
#include <cstring>
#include <string>
#include <unordered_map>
#include <utility>
#include <vector>

#include "http2/field_frames.h"
#include "http2/frame_writer.h"

namespace depot::http2 {
namespace {

using base::Code;
using base::Hop;
using base::Status;

class Connection;

class ExchangeImpl final : public Exchange {
 public:
  ExchangeImpl(Connection& connection, std::shared_ptr<RequestBody> body,
               std::shared_ptr<ResponseHandler> handler)
      : connection_(connection), body_(std::move(body)), handler_(std::move(handler)) {}

  void resume() override;
  void reset(uint32_t http2_error_code) override;
  void consume(size_t bytes) override;

  Connection& connection_;
  int32_t id_ = 0;
  std::shared_ptr<RequestBody> body_;
  std::shared_ptr<ResponseHandler> handler_;
  bool answered_ = false;  // with a response's fields
  bool pending_ = false;   // the body said so in its last answer
  bool deferred_ = false;  // nghttp2 waits for resume_data
};

class Connection final : public ClientConnection {
 public:
  explicit Connection(const ClientOptions& options)
      : options_(options), fields_(options.max_header_list) {}
  ~Connection() override {
    auto open = std::move(exchanges_);
    exchanges_.clear();
    for (auto& [id, exchange] : open) exchange->handler_->on_close(NGHTTP2_CANCEL);
    nghttp2_session_del(session_);
  }

  bool init();

  Exchange* start(const Headers& request, std::shared_ptr<RequestBody> body,
                  std::shared_ptr<ResponseHandler> handler) override;
  bool greeted() const override { return greeted_; }
  bool accepts() const override {
    return !going_away_ && nghttp2_session_check_request_allowed(session_) != 0;
  }
  size_t open_exchanges() const override { return exchanges_.size(); }
  void ping() override { nghttp2_submit_ping(session_, NGHTTP2_FLAG_NONE, nullptr); }

  const Status& failure() const override { return failure_; }
  Status receive(std::span<const uint8_t> bytes) override;
  size_t produce(Output& out) override;
  bool wants_write() const override {
    return writer_.has_left() || nghttp2_session_want_write(session_) != 0;
  }

 private:
  friend class ExchangeImpl;

  static Connection& self(void* user_data) { return *static_cast<Connection*>(user_data); }
  Status broken(std::string_view why) const {
    std::string what = greeted_ ? "HTTP/2 connection: " : "what answers does not speak HTTP/2: ";
    return Status(Code::kUnavailable, Hop::kMachine, what + std::string(why)).with_retryable(true);
  }
  FieldFrames::Seen on_fields(FieldFrames::Block& block);
  ExchangeImpl* find(int32_t id) {
    return static_cast<ExchangeImpl*>(nghttp2_session_get_stream_user_data(session_, id));
  }

  static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* user);
  static int on_frame_sent(nghttp2_session*, const nghttp2_frame* frame, void* user);
  static int on_data(nghttp2_session*, uint8_t flags, int32_t id, const uint8_t* bytes, size_t size,
                     void* user);
  static int on_close(nghttp2_session*, int32_t id, uint32_t code, void* user);
  static ssize_t read_body(nghttp2_session*, int32_t id, uint8_t* buffer, size_t length,
                           uint32_t* flags, nghttp2_data_source* source, void* user);
  static int send_data(nghttp2_session*, nghttp2_frame* frame, const uint8_t* frame_header,
                       size_t length, nghttp2_data_source* source, void* user);

  const ClientOptions options_;
  nghttp2_session* session_ = nullptr;
  std::unordered_map<int32_t, std::unique_ptr<ExchangeImpl>> exchanges_;
  bool greeted_ = false;  // the peer's SETTINGS came
  bool going_away_ = false;
  Status failure_;
  FieldFrames fields_;
  FrameWriter writer_;
  // Closed while producing: told afterwards, so that nothing runs in the middle of a frame.
  std::vector<std::pair<std::unique_ptr<ExchangeImpl>, uint32_t>> closed_;
};

bool Connection::init() {
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_option* option = nullptr;
  if (nghttp2_session_callbacks_new(&callbacks) != 0) return false;
  if (nghttp2_option_new(&option) != 0) {
    nghttp2_session_callbacks_del(callbacks);
    return false;
  }
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
  nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
  nghttp2_session_callbacks_set_send_data_callback(callbacks, send_data);
  nghttp2_option_set_no_auto_window_update(option, 1);
  nghttp2_option_set_no_closed_streams(option, 1);
  // What we send may be as long as the servers of daemons take by default (16 MiB in Go).
  nghttp2_option_set_max_send_header_block_length(option, 1 << 20);
  int rv = nghttp2_session_client_new2(&session_, callbacks, this, option);
  nghttp2_option_del(option);
  nghttp2_session_callbacks_del(callbacks);
  if (rv != 0) return false;
  const nghttp2_settings_entry settings[] = {
      {NGHTTP2_SETTINGS_ENABLE_PUSH, 0},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, options_.stream_window},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, options_.max_header_list},
  };
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings, std::size(settings));
  nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0,
                                        static_cast<int32_t>(options_.connection_window));
  return true;
}

Exchange* Connection::start(const Headers& request, std::shared_ptr<RequestBody> body,
                            std::shared_ptr<ResponseHandler> handler) {
  if (!accepts()) return nullptr;
  auto exchange = std::make_unique<ExchangeImpl>(*this, std::move(body), std::move(handler));
  nghttp2_data_provider provider{};
  provider.source.ptr = exchange.get();
  provider.read_callback = read_body;
  auto list = nv_list(request);
  int32_t id = nghttp2_submit_request(session_, nullptr, list.data(), list.size(),
                                      exchange->body_ ? &provider : nullptr, exchange.get());
  if (id < 0) return nullptr;
  exchange->id_ = id;
  return (exchanges_[id] = std::move(exchange)).get();
}

FieldFrames::Seen Connection::on_fields(FieldFrames::Block& block) {
  using Seen = FieldFrames::Seen;
  auto* exchange = find(block.stream_id);
  if (!exchange) return Seen::kTrailers;
  auto status = block.headers.find(":status");
  bool informational = status && status->starts_with("1") && !block.end_stream;
  if (!exchange->answered_ && informational) return Seen::kInformational;
  if (block.too_large)
    exchange->reset(NGHTTP2_INTERNAL_ERROR);
  else
    exchange->handler_->on_headers(block.headers, block.end_stream);
  return std::exchange(exchange->answered_, true) ? Seen::kTrailers : Seen::kResponse;
}

int Connection::on_frame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
  auto& connection = self(user);
  if (frame->hd.type == NGHTTP2_SETTINGS) connection.greeted_ = true;
  if (frame->hd.type == NGHTTP2_GOAWAY) connection.going_away_ = true;
  if (frame->hd.type != NGHTTP2_DATA || (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) == 0) return 0;
  if (auto* exchange = connection.find(frame->hd.stream_id)) exchange->handler_->on_end();
  return 0;
}

int Connection::on_frame_sent(nghttp2_session*, const nghttp2_frame* frame, void* user) {
  auto& connection = self(user);
  if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR &&
      connection.failure_.ok())
    connection.failure_ = connection.broken(nghttp2_http2_strerror(frame->goaway.error_code));
  return 0;
}

int Connection::on_data(nghttp2_session* session, uint8_t, int32_t id, const uint8_t* bytes,
                        size_t size, void* user) {
  auto& connection = self(user);
  // At once, so that one slow stream cannot stall its neighbours.
  nghttp2_session_consume_connection(session, size);
  if (auto* exchange = connection.find(id)) exchange->handler_->on_data({bytes, size});
  return 0;
}

int Connection::on_close(nghttp2_session*, int32_t id, uint32_t code, void* user) {
  auto& connection = self(user);
  auto found = connection.exchanges_.find(id);
  if (found == connection.exchanges_.end()) return 0;
  auto exchange = std::move(found->second);
  connection.exchanges_.erase(found);
  if (connection.writer_.producing())
    connection.closed_.emplace_back(std::move(exchange), code);
  else
    exchange->handler_->on_close(code);
  return 0;
}

ssize_t Connection::read_body(nghttp2_session*, int32_t, uint8_t*, size_t length, uint32_t* flags,
                              nghttp2_data_source* source, void* user) {
  auto& connection = self(user);
  auto& exchange = *static_cast<ExchangeImpl*>(source->ptr);
  if (!exchange.body_ || exchange.pending_) {
    exchange.deferred_ = true;
    return NGHTTP2_ERR_DEFERRED;
  }
  length = connection.writer_.room_for(length);
  if (length == 0) return NGHTTP2_ERR_PAUSE;
  auto ready = exchange.body_->ready(length);
  assert(ready.bytes <= length && (ready.bytes > 0 || ready.state != BodyState::kMore));
  if (ready.state == BodyState::kPending) {
    exchange.pending_ = true;
    if (ready.bytes == 0) {
      exchange.deferred_ = true;
      return NGHTTP2_ERR_DEFERRED;
    }
  }
  *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
  if (ready.state == BodyState::kEnd) *flags |= NGHTTP2_DATA_FLAG_EOF;
  return static_cast<ssize_t>(ready.bytes);
}

int Connection::send_data(nghttp2_session*, nghttp2_frame*, const uint8_t* frame_header,
                          size_t length, nghttp2_data_source* source, void* user) {
  auto& exchange = *static_cast<ExchangeImpl*>(source->ptr);
  Output& out = self(user).writer_.out();
  std::memcpy(out.reserve(kFrameHeader), frame_header, kFrameHeader);
  out.commit(kFrameHeader);
  if (length > 0) exchange.body_->take(length, out);
  return 0;
}

Status Connection::receive(std::span<const uint8_t> bytes) {
  if (!failure_.ok()) return failure_;
  Status status = fields_.feed(
      bytes, [this](FieldFrames::Block& block) { return on_fields(block); },
      [this](std::span<const uint8_t> frames) {
        ssize_t taken = nghttp2_session_mem_recv(session_, frames.data(), frames.size());
        if (taken < 0) failure_ = broken(nghttp2_strerror(static_cast<int>(taken)));
        return taken >= 0;
      });
  if (!status.ok()) {
    failure_ = broken(status.message());
    nghttp2_session_terminate_session(session_, NGHTTP2_COMPRESSION_ERROR);
  } else if (failure_.ok() && nghttp2_session_want_read(session_) == 0 &&
             nghttp2_session_want_write(session_) == 0) {
    failure_ = broken("closed by the other side");
  }
  return failure_;
}

size_t Connection::produce(Output& out) {
  assert(!writer_.producing());
  const size_t before = out.size();
  Status status = writer_.produce(session_, out);
  if (failure_.ok() && !status.ok()) failure_ = broken(status.message());
  auto closed = std::move(closed_);
  closed_.clear();
  for (auto& [exchange, code] : closed) exchange->handler_->on_close(code);
  return out.size() - before;
}

void ExchangeImpl::resume() {
  pending_ = false;
  if (!std::exchange(deferred_, false)) return;
  nghttp2_session_resume_data(connection_.session_, id_);
}

void ExchangeImpl::reset(uint32_t http2_error_code) {
  body_ = nullptr;
  nghttp2_submit_rst_stream(connection_.session_, NGHTTP2_FLAG_NONE, id_, http2_error_code);
}

void ExchangeImpl::consume(size_t bytes) {
  if (bytes > 0) nghttp2_session_consume_stream(connection_.session_, id_, bytes);
}

}  // namespace

std::unique_ptr<ClientConnection> ClientConnection::create(const ClientOptions& options) {
  auto connection = std::make_unique<Connection>(options);
  return connection->init() ? std::move(connection) : nullptr;
}

}  // namespace depot::http2

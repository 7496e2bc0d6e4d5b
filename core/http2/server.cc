#include "http2/server.h"

#include <nghttp2/nghttp2.h>

#include <algorithm>
#include <cassert>
#include <cstring>
#include <unordered_map>

#include "http2/frame_writer.h"

namespace depot::http2 {
namespace {

using base::Code;
using base::Hop;
using base::Status;

// Of all requests whose headers are kept at a time; one request has max_header_list.
constexpr size_t kMaxHeaderBytes = 16 << 20;

std::string_view text(const uint8_t* bytes, size_t size) {
  return {reinterpret_cast<const char*>(bytes), size};
}

class Connection;

class StreamImpl final : public Stream {
 public:
  StreamImpl(Connection& connection, int32_t id) : connection_(connection), id_(id) {}

  int32_t id() const override { return id_; }
  const Headers& request() const override { return request_; }
  void respond(Headers headers, std::unique_ptr<BodySource> body) override;
  void resume() override;
  void reset(uint32_t http2_error_code) override;
  void consume(size_t bytes) override;

  Connection& connection_;
  const int32_t id_;
  Headers request_;
  size_t header_bytes_ = 0;
  bool headers_done_ = false;
  bool too_large_ = false;
  bool responded_ = false;
  bool pending_ = false;   // the body said so in its last read
  bool deferred_ = false;  // nghttp2 waits for resume_data
  std::unique_ptr<BodySource> body_;
  std::unique_ptr<StreamHandler> handler_;
};

class Connection final : public ServerConnection {
 public:
  Connection(const ServerOptions& options, Acceptor accept)
      : options_(options), accept_(std::move(accept)) {}

  ~Connection() override {
    // What is still open ends as if the peer had gone.
    auto streams = std::move(streams_);
    streams_.clear();
    for (auto& [id, stream] : streams) close_stream(*stream, NGHTTP2_CANCEL);
    nghttp2_session_del(session_);
  }

  bool init();

  Status receive(std::span<const uint8_t> bytes) override {
    if (!failure_.ok()) return failure_;
    ssize_t taken = nghttp2_session_mem_recv(session_, bytes.data(), bytes.size());
    if (taken < 0) {
      failure_ = broken(nghttp2_strerror(static_cast<int>(taken)));
      // Other fatal errors queue their GOAWAY themselves.
      nghttp2_session_terminate_session(
          session_, taken == NGHTTP2_ERR_NOMEM ? NGHTTP2_INTERNAL_ERROR : NGHTTP2_PROTOCOL_ERROR);
    }
    return failure_;
  }

  size_t produce(Output& out) override;

  bool wants_write() const override {
    return writer_.has_left() || nghttp2_session_want_write(session_) != 0;
  }

  void shut_down() override {
    nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE,
                          nghttp2_session_get_last_proc_stream_id(session_), NGHTTP2_NO_ERROR,
                          nullptr, 0);
  }

  bool finished() const override {
    return !wants_write() && nghttp2_session_want_read(session_) == 0;
  }

  size_t open_streams() const override { return streams_.size(); }

 private:
  friend class StreamImpl;

  static Status broken(std::string_view why) {
    return Status(Code::kInternal, Hop::kSession, "HTTP/2 connection: " + std::string(why));
  }
  static Connection& self(void* user_data) { return *static_cast<Connection*>(user_data); }
  StreamImpl* find(int32_t id) {
    return static_cast<StreamImpl*>(nghttp2_session_get_stream_user_data(session_, id));
  }
  void close_stream(StreamImpl& stream, uint32_t code);

  static int on_begin_headers(nghttp2_session*, const nghttp2_frame* frame, void* user);
  static int on_header(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name,
                       size_t name_size, const uint8_t* value, size_t value_size, uint8_t flags,
                       void* user);
  static int on_frame(nghttp2_session*, const nghttp2_frame* frame, void* user);
  static int on_frame_sent(nghttp2_session*, const nghttp2_frame* frame, void* user);
  static int on_data(nghttp2_session*, uint8_t flags, int32_t id, const uint8_t* bytes, size_t size,
                     void* user);
  static int on_close(nghttp2_session*, int32_t id, uint32_t code, void* user);
  static ssize_t read_body(nghttp2_session*, int32_t id, uint8_t* buffer, size_t length,
                           uint32_t* flags, nghttp2_data_source* source, void* user);
  static int send_data(nghttp2_session*, nghttp2_frame* frame, const uint8_t* frame_header,
                       size_t length, nghttp2_data_source* source, void* user);

  int request_complete(StreamImpl& stream, bool end);

  const ServerOptions options_;
  const Acceptor accept_;
  nghttp2_session* session_ = nullptr;
  std::unordered_map<int32_t, std::unique_ptr<StreamImpl>> streams_;
  size_t header_bytes_ = 0;
  Status failure_;

  FrameWriter writer_;
  base::SharedBytes loan_;  // what the frame that is being written borrows
  // Closed while producing: told afterwards, so that nothing runs in the middle of a frame.
  std::vector<std::pair<std::unique_ptr<StreamImpl>, uint32_t>> closed_;
};

bool Connection::init() {
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_option* option = nullptr;
  if (nghttp2_session_callbacks_new(&callbacks) != 0) return false;
  if (nghttp2_option_new(&option) != 0) {
    nghttp2_session_callbacks_del(callbacks);
    return false;
  }
  nghttp2_session_callbacks_set_on_begin_headers_callback(callbacks, on_begin_headers);
  nghttp2_session_callbacks_set_on_header_callback(callbacks, on_header);
  nghttp2_session_callbacks_set_on_frame_recv_callback(callbacks, on_frame);
  nghttp2_session_callbacks_set_on_frame_send_callback(callbacks, on_frame_sent);
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(callbacks, on_data);
  nghttp2_session_callbacks_set_on_stream_close_callback(callbacks, on_close);
  nghttp2_session_callbacks_set_send_data_callback(callbacks, send_data);

  nghttp2_option_set_no_auto_window_update(option, 1);
  nghttp2_option_set_no_closed_streams(option, 1);
  // A pattern may end in a blank, and is sent as it is: nothing to reset its stream for.
  nghttp2_option_set_no_rfc9113_leading_and_trailing_ws_validation(option, 1);
#ifdef DEPOT_NGHTTP2_RESET_LIMIT
  // The daemon resets each exchange it has had enough of (DiffCopy always, blob reads often), which
  // by the default of 33 a second looks like a flood.
  nghttp2_option_set_stream_reset_rate_limit(option, 10000, 1000);
#endif
#ifdef DEPOT_NGHTTP2_CONTINUATIONS
  // Patterns of a .dockerignore travel as headers: max_header_list bytes in frames of 16 KiB.
  // nghttp2 counts a frame once for each receive() that its 9 bytes of header are cut by.
  nghttp2_option_set_max_continuations(option,
                                       (options_.max_header_list / 16384 + 8) * kFrameHeader);
#endif
  int rv = nghttp2_session_server_new2(&session_, callbacks, this, option);
  nghttp2_option_del(option);
  nghttp2_session_callbacks_del(callbacks);
  if (rv != 0) return false;

  const nghttp2_settings_entry settings[] = {
      {NGHTTP2_SETTINGS_MAX_CONCURRENT_STREAMS, options_.max_concurrent_streams},
      {NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE, options_.stream_window},
      {NGHTTP2_SETTINGS_MAX_HEADER_LIST_SIZE, options_.max_header_list},
  };
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, settings, std::size(settings));
  nghttp2_session_set_local_window_size(session_, NGHTTP2_FLAG_NONE, 0,
                                        static_cast<int32_t>(options_.connection_window));
  return true;
}

void Connection::close_stream(StreamImpl& stream, uint32_t code) {
  header_bytes_ -= stream.header_bytes_;
  stream.body_ = nullptr;
  if (stream.handler_) stream.handler_->on_close(code);
}

int Connection::on_begin_headers(nghttp2_session* session, const nghttp2_frame* frame, void* user) {
  auto& connection = self(user);
  if (frame->hd.type != NGHTTP2_HEADERS || frame->headers.cat != NGHTTP2_HCAT_REQUEST) return 0;
  auto stream = std::make_unique<StreamImpl>(connection, frame->hd.stream_id);
  nghttp2_session_set_stream_user_data(session, frame->hd.stream_id, stream.get());
  connection.streams_.emplace(frame->hd.stream_id, std::move(stream));
  return 0;
}

int Connection::on_header(nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name,
                          size_t name_size, const uint8_t* value, size_t value_size, uint8_t,
                          void* user) {
  auto& connection = self(user);
  auto* stream = connection.find(frame->hd.stream_id);
  // Trailers of a request: nobody here reads them.
  if (!stream || stream->headers_done_ || stream->too_large_) return 0;
  // RFC 9113 counts 32 bytes for each field.
  size_t size = name_size + value_size + 32;
  if (stream->header_bytes_ + size > connection.options_.max_header_list ||
      connection.header_bytes_ + size > kMaxHeaderBytes) {
    stream->too_large_ = true;
    return 0;
  }
  stream->header_bytes_ += size;
  connection.header_bytes_ += size;
  stream->request_.add(std::string(text(name, name_size)), std::string(text(value, value_size)));
  return 0;
}

int Connection::request_complete(StreamImpl& stream, bool end) {
  stream.headers_done_ = true;
  if (stream.too_large_) {
    stream.respond(Headers{{":status", "431"}}, nullptr);
    return 0;
  }
  stream.handler_ = accept_(stream);
  if (!stream.handler_) {
    stream.reset(NGHTTP2_REFUSED_STREAM);
    return 0;
  }
  if (end) stream.handler_->on_end();
  return 0;
}

int Connection::on_frame(nghttp2_session*, const nghttp2_frame* frame, void* user) {
  auto& connection = self(user);
  if (frame->hd.type != NGHTTP2_HEADERS && frame->hd.type != NGHTTP2_DATA) return 0;
  auto* stream = connection.find(frame->hd.stream_id);
  if (!stream) return 0;
  bool end = (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0;
  if (frame->hd.type == NGHTTP2_HEADERS && !stream->headers_done_)
    return connection.request_complete(*stream, end);
  if (end && stream->handler_) stream->handler_->on_end();
  return 0;
}

int Connection::on_frame_sent(nghttp2_session*, const nghttp2_frame* frame, void* user) {
  auto& connection = self(user);
  if (frame->hd.type == NGHTTP2_GOAWAY && frame->goaway.error_code != NGHTTP2_NO_ERROR &&
      connection.failure_.ok()) {
    connection.failure_ = broken(nghttp2_http2_strerror(frame->goaway.error_code));
  }
  return 0;
}

int Connection::on_data(nghttp2_session* session, uint8_t, int32_t id, const uint8_t* bytes,
                        size_t size, void* user) {
  auto& connection = self(user);
  nghttp2_session_consume_connection(session, size);
  auto* stream = connection.find(id);
  if (!stream || !stream->handler_) {
    nghttp2_session_consume_stream(session, id, size);
    return 0;
  }
  if (!connection.options_.manual_window) nghttp2_session_consume_stream(session, id, size);
  stream->handler_->on_data({bytes, size});
  return 0;
}

int Connection::on_close(nghttp2_session*, int32_t id, uint32_t code, void* user) {
  auto& connection = self(user);
  auto found = connection.streams_.find(id);
  if (found == connection.streams_.end()) return 0;
  auto stream = std::move(found->second);
  connection.streams_.erase(found);
  if (connection.writer_.producing())
    connection.closed_.emplace_back(std::move(stream), code);
  else
    connection.close_stream(*stream, code);
  return 0;
}

ssize_t Connection::read_body(nghttp2_session* session, int32_t id, uint8_t*, size_t length,
                              uint32_t* flags, nghttp2_data_source* source, void* user) {
  auto& connection = self(user);
  auto& stream = *static_cast<StreamImpl*>(source->ptr);
  if (!stream.body_) return NGHTTP2_ERR_TEMPORAL_CALLBACK_FAILURE;
  if (stream.pending_) {
    stream.deferred_ = true;
    return NGHTTP2_ERR_DEFERRED;
  }
  Output& out = connection.writer_.out();
  length = connection.writer_.room_for(length);
  if (length == 0) return NGHTTP2_ERR_PAUSE;
  BodyLoan loan;
  if (out.takes_loans()) loan = stream.body_->lend(length);
  BodyRead read{loan.bytes.bytes.size(), loan.state};
  connection.loan_ = std::move(loan.bytes);
  // The bytes go to their place behind the frame header at once.
  if (read.bytes == 0 && read.state == BodyState::kMore)
    read = stream.body_->read({out.reserve(kFrameHeader + length) + kFrameHeader, length});
  assert(read.bytes <= length);
  *flags |= NGHTTP2_DATA_FLAG_NO_COPY;
  switch (read.state) {
    case BodyState::kMore:
      assert(read.bytes > 0);
      break;
    case BodyState::kPending:
      stream.pending_ = true;
      if (read.bytes == 0) {
        stream.deferred_ = true;
        return NGHTTP2_ERR_DEFERRED;
      }
      break;
    case BodyState::kEnd: {
      *flags |= NGHTTP2_DATA_FLAG_EOF;
      Headers trailers = stream.body_->trailers();
      if (trailers.size() > 0) {
        auto list = nv_list(trailers);
        if (nghttp2_submit_trailer(session, id, list.data(), list.size()) == 0)
          *flags |= NGHTTP2_DATA_FLAG_NO_END_STREAM;
      }
      break;
    }
  }
  return static_cast<ssize_t>(read.bytes);
}

int Connection::send_data(nghttp2_session*, nghttp2_frame*, const uint8_t* frame_header,
                          size_t length, nghttp2_data_source*, void* user) {
  auto& connection = self(user);
  Output& out = connection.writer_.out();
  bool lent = !connection.loan_.bytes.empty();
  size_t here = kFrameHeader + (lent ? 0 : length);
  std::memcpy(out.reserve(here), frame_header, kFrameHeader);
  out.commit(here);
  if (lent) out.lend(std::exchange(connection.loan_, {}));
  return 0;
}

size_t Connection::produce(Output& out) {
  assert(!writer_.producing());
  const size_t before = out.size();
  Status status = writer_.produce(session_, out);
  if (failure_.ok()) failure_ = std::move(status);
  loan_ = {};
  auto closed = std::move(closed_);
  closed_.clear();
  for (auto& [stream, code] : closed) close_stream(*stream, code);
  return out.size() - before;
}

void StreamImpl::respond(Headers headers, std::unique_ptr<BodySource> body) {
  if (responded_) return;
  responded_ = true;
  auto list = nv_list(headers);
  body_ = std::move(body);
  nghttp2_data_provider provider{};
  provider.source.ptr = this;
  provider.read_callback = Connection::read_body;
  nghttp2_submit_response(connection_.session_, id_, list.data(), list.size(),
                          body_ ? &provider : nullptr);
}

void StreamImpl::resume() {
  pending_ = false;
  if (!deferred_) return;
  deferred_ = false;
  nghttp2_session_resume_data(connection_.session_, id_);
}

void StreamImpl::reset(uint32_t http2_error_code) {
  nghttp2_submit_rst_stream(connection_.session_, NGHTTP2_FLAG_NONE, id_, http2_error_code);
}

void StreamImpl::consume(size_t bytes) {
  if (!connection_.options_.manual_window || bytes == 0) return;
  nghttp2_session_consume_stream(connection_.session_, id_, bytes);
}

}  // namespace

std::unique_ptr<ServerConnection> ServerConnection::create(const ServerOptions& options,
                                                           Acceptor accept) {
  auto connection = std::make_unique<Connection>(options, std::move(accept));
  // Only memory can be missing.
  return connection->init() ? std::move(connection) : nullptr;
}

}  // namespace depot::http2

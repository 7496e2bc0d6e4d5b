#include "peer.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstring>

namespace depot::http2 {
namespace {

std::string find(const Fields& fields, const std::string& name) {
  for (const auto& [key, value] : fields)
    if (key == name) return value;
  return "";
}

std::vector<nghttp2_nv> list_of(const Fields& fields) {
  std::vector<nghttp2_nv> list;
  for (const auto& [key, value] : fields)
    list.push_back({reinterpret_cast<uint8_t*>(const_cast<char*>(key.data())),
                    reinterpret_cast<uint8_t*>(const_cast<char*>(value.data())), key.size(),
                    value.size(), NGHTTP2_NV_FLAG_NONE});
  return list;
}

}  // namespace

std::string Answer::trailer(const std::string& name) const {
  return find(trailers, name);
}
std::string Answer::header(const std::string& name) const {
  return find(headers, name);
}

Peer::Peer(const PeerOptions& options) {
  nghttp2_session_callbacks* callbacks = nullptr;
  nghttp2_session_callbacks_new(&callbacks);
  nghttp2_session_callbacks_set_on_header_callback(
      callbacks,
      [](nghttp2_session*, const nghttp2_frame* frame, const uint8_t* name, size_t name_size,
         const uint8_t* value, size_t value_size, uint8_t, void* user) {
        auto& answer = self(user).answers_[frame->hd.stream_id];
        std::string key(reinterpret_cast<const char*>(name), name_size);
        std::string text(reinterpret_cast<const char*>(value), value_size);
        if (key == ":status")
          answer.status = text;
        else if (frame->headers.cat == NGHTTP2_HCAT_RESPONSE)
          answer.headers.emplace_back(key, text);
        else
          answer.trailers.emplace_back(key, text);
        return 0;
      });
  nghttp2_session_callbacks_set_on_data_chunk_recv_callback(
      callbacks, [](nghttp2_session* session, uint8_t, int32_t id, const uint8_t* bytes,
                    size_t size, void* user) {
        self(user).answers_[id].body.append(reinterpret_cast<const char*>(bytes), size);
        nghttp2_session_consume_connection(session, size);
        return 0;
      });
  nghttp2_session_callbacks_set_on_frame_recv_callback(
      callbacks, [](nghttp2_session*, const nghttp2_frame* frame, void* user) {
        auto& peer = self(user);
        if (frame->hd.type == NGHTTP2_GOAWAY) {
          peer.got_goaway_ = true;
          peer.goaway_code_ = frame->goaway.error_code;
        }
        if ((frame->hd.type == NGHTTP2_HEADERS || frame->hd.type == NGHTTP2_DATA) &&
            (frame->hd.flags & NGHTTP2_FLAG_END_STREAM) != 0)
          peer.answers_[frame->hd.stream_id].ended = true;
        return 0;
      });
  nghttp2_session_callbacks_set_on_stream_close_callback(
      callbacks, [](nghttp2_session*, int32_t id, uint32_t code, void* user) {
        self(user).answers_[id].closed = code;
        return 0;
      });
  nghttp2_option* option = nullptr;
  nghttp2_option_new(&option);
  if (options.manual_window) nghttp2_option_set_no_auto_window_update(option, 1);
  nghttp2_option_set_max_send_header_block_length(option, 4 << 20);
  nghttp2_option_set_peer_max_concurrent_streams(option, 100000);
  nghttp2_session_client_new2(&session_, callbacks, this, option);
  nghttp2_option_del(option);
  nghttp2_session_callbacks_del(callbacks);
  nghttp2_settings_entry entry{NGHTTP2_SETTINGS_INITIAL_WINDOW_SIZE,
                               options.initial_window.value_or(65535)};
  nghttp2_submit_settings(session_, NGHTTP2_FLAG_NONE, &entry, 1);
}

Peer::~Peer() {
  nghttp2_session_del(session_);
}

int32_t Peer::request(const Fields& headers, std::string body, bool half_close) {
  auto list = list_of(headers);
  if (body.empty() && half_close)
    return nghttp2_submit_request(session_, nullptr, list.data(), list.size(), nullptr, nullptr);
  auto outgoing = std::make_shared<Outgoing>();
  outgoing->bytes = std::move(body);
  outgoing->half_close = half_close;
  nghttp2_data_provider provider{};
  provider.source.ptr = outgoing.get();
  provider.read_callback = [](nghttp2_session*, int32_t, uint8_t* buffer, size_t length,
                              uint32_t* flags, nghttp2_data_source* source, void*) -> ssize_t {
    auto& from = *static_cast<Outgoing*>(source->ptr);
    size_t size = std::min(length, from.bytes.size() - from.at);
    std::memcpy(buffer, from.bytes.data() + from.at, size);
    from.at += size;
    if (from.at == from.bytes.size() && from.half_close) {
      *flags |= NGHTTP2_DATA_FLAG_EOF;
    } else if (size == 0) {
      from.deferred = true;
      return NGHTTP2_ERR_DEFERRED;
    }
    return static_cast<ssize_t>(size);
  };
  int32_t id =
      nghttp2_submit_request(session_, nullptr, list.data(), list.size(), &provider, nullptr);
  outgoing_[id] = std::move(outgoing);
  return id;
}

int32_t Peer::post(const std::string& path, std::string body, bool half_close) {
  return request({{":method", "POST"},
                  {":scheme", "http"},
                  {":authority", "localhost"},
                  {":path", path},
                  {"content-type", "application/grpc"},
                  {"te", "trailers"}},
                 std::move(body), half_close);
}

void Peer::more(int32_t id, const std::string& bytes, bool half_close) {
  auto& outgoing = *outgoing_[id];
  outgoing.bytes += bytes;
  outgoing.half_close = half_close;
  if (std::exchange(outgoing.deferred, false)) nghttp2_session_resume_data(session_, id);
}

void Peer::reset(int32_t id, uint32_t code) {
  nghttp2_submit_rst_stream(session_, NGHTTP2_FLAG_NONE, id, code);
}

void Peer::give(int32_t id, int32_t bytes) {
  nghttp2_submit_window_update(session_, NGHTTP2_FLAG_NONE, id, bytes);
}

void Peer::goaway() {
  nghttp2_submit_goaway(session_, NGHTTP2_FLAG_NONE, 0, NGHTTP2_NO_ERROR, nullptr, 0);
}

std::string Peer::take() {
  std::string all;
  for (;;) {
    const uint8_t* bytes = nullptr;
    ssize_t size = nghttp2_session_mem_send(session_, &bytes);
    EXPECT_GE(size, 0);
    if (size <= 0) return all;
    all.append(reinterpret_cast<const char*>(bytes), static_cast<size_t>(size));
  }
}

bool Peer::feed(const std::string& bytes) {
  ssize_t taken = nghttp2_session_mem_recv(session_, reinterpret_cast<const uint8_t*>(bytes.data()),
                                           bytes.size());
  return taken == static_cast<ssize_t>(bytes.size());
}

std::string produce_all(ServerConnection& server, size_t buffer) {
  std::string all;
  std::string piece(buffer, '\0');
  while (size_t size = server.produce({reinterpret_cast<uint8_t*>(piece.data()), piece.size()}))
    all.append(piece, 0, size);
  return all;
}

base::Status receive(ServerConnection& server, std::string_view bytes) {
  return server.receive({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
}

base::Status run(Peer& peer, ServerConnection& server, const Cuts& cuts) {
  std::string piece;
  for (bool moved = true; moved;) {
    moved = false;
    std::string in = peer.take();
    for (size_t at = 0; at < in.size();) {
      size_t size = std::min(cuts.in(), in.size() - at);
      DEPOT_TRY(receive(server, std::string_view(in).substr(at, size)));
      at += size;
      moved = true;
    }
    for (;;) {
      piece.assign(cuts.out(), '\x55');
      bool wanted = server.wants_write();
      size_t size = server.produce({reinterpret_cast<uint8_t*>(piece.data()), piece.size()});
      EXPECT_LE(size, piece.size());
      EXPECT_TRUE(wanted || size == 0) << "wants_write() was wrong";
      if (size == 0) break;
      EXPECT_TRUE(peer.feed(piece.substr(0, size))) << "the client refused what the engine wrote";
      moved = true;
    }
  }
  return {};
}

std::string framed(const std::string& message, char compressed) {
  std::string out(1, compressed);
  for (int shift = 24; shift >= 0; shift -= 8)
    out.push_back(static_cast<char>(message.size() >> shift & 0xff));
  return out + message;
}

std::vector<std::string> messages(std::string_view body) {
  std::vector<std::string> all;
  while (body.size() >= 5) {
    size_t size = 0;
    for (size_t i = 1; i < 5; ++i) size = size << 8 | static_cast<uint8_t>(body[i]);
    EXPECT_EQ(body[0], 0);
    if (body.size() - 5 < size) break;
    all.emplace_back(body.substr(5, size));
    body.remove_prefix(5 + size);
  }
  EXPECT_TRUE(body.empty()) << "a message is cut off";
  return all;
}

BodyRead TextBody::read(std::span<uint8_t> out) {
  EXPECT_GE(out.size(), 1u);
  Step step = next_ ? next_() : Step{};
  size_t size = std::min({out.size(), text_.size() - at_, step.at_most});
  std::memcpy(out.data(), text_.data() + at_, size);
  at_ += size;
  if (at_ == text_.size()) return {size, BodyState::kEnd};
  if (step.pending || size == 0) return {size, BodyState::kPending};
  return {size, BodyState::kMore};
}

std::string pattern(size_t size) {
  std::string text(size, '\0');
  uint32_t state = 1;
  for (auto& c : text) {
    state = state * 1664525 + 1013904223;
    c = static_cast<char>(state >> 24);
  }
  return text;
}

}  // namespace depot::http2

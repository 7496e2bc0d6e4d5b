// A real HTTP/2 client, nghttp2's, on the other side of the engine under test: no socket between
// them, so that a test says itself how the bytes are cut.
#pragma once

#include <nghttp2/nghttp2.h>

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "http2/server.h"

namespace depot::http2 {

using Fields = std::vector<std::pair<std::string, std::string>>;

struct Answer {
  std::string status;
  Fields headers;
  std::string body;
  Fields trailers;
  bool ended = false;  // END_STREAM came
  std::optional<uint32_t> closed;
  std::string trailer(const std::string& name) const;
  std::string header(const std::string& name) const;
};

struct PeerOptions {
  std::optional<uint32_t> initial_window;
  // The windows are given back by hand (Peer::give), not by nghttp2.
  bool manual_window = false;
};

class Peer {
 public:
  explicit Peer(const PeerOptions& options = {});
  ~Peer();
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  // `body` goes out as the windows allow; `half_close` ends it.
  int32_t request(const Fields& headers, std::string body = "", bool half_close = true);
  int32_t post(const std::string& path, std::string body = "", bool half_close = true);
  // More of a body that was not half-closed.
  void more(int32_t id, const std::string& bytes, bool half_close);
  void reset(int32_t id, uint32_t code = NGHTTP2_CANCEL);
  // WINDOW_UPDATE; id 0: the connection's.
  void give(int32_t id, int32_t bytes);
  void goaway();

  Answer& answer(int32_t id) { return answers_[id]; }
  // Bytes of a request's body that have left.
  size_t sent(int32_t id) { return outgoing_[id]->at; }
  bool got_goaway() const { return got_goaway_; }
  uint32_t goaway_code() const { return goaway_code_; }
  nghttp2_session* session() { return session_; }

  std::string take();  // what it has to say
  bool feed(const std::string& bytes);

 private:
  struct Outgoing {
    std::string bytes;
    size_t at = 0;
    bool half_close = true;
    bool deferred = false;
  };
  static Peer& self(void* user) { return *static_cast<Peer*>(user); }

  nghttp2_session* session_ = nullptr;
  std::map<int32_t, Answer> answers_;
  std::map<int32_t, std::shared_ptr<Outgoing>> outgoing_;
  bool got_goaway_ = false;
  uint32_t goaway_code_ = 0;
};

// How the bytes between the two are cut; each call says the size of the next piece.
struct Cuts {
  std::function<size_t()> out = [] { return size_t{32} << 10; };  // the buffer given to produce()
  std::function<size_t()> in = [] { return size_t{1} << 20; };    // what receive() gets at once
};

std::string produce_all(ServerConnection& server, size_t buffer = 32 << 10);
base::Status receive(ServerConnection& server, std::string_view bytes);
// Carries bytes both ways until neither side has anything to say. Not ok when the engine said so.
base::Status run(Peer& peer, ServerConnection& server, const Cuts& cuts = {});

// A gRPC message with its prefix.
std::string framed(const std::string& message, char compressed = 0);
// The messages of a gRPC body; fails the test when it is not whole ones.
std::vector<std::string> messages(std::string_view body);

// A request for the engine alone: a handler that records and whose parts a test may replace.
struct Seen {
  std::string data;
  bool ended = false;
  int closed = 0;
  uint32_t code = 0;
  Stream* stream = nullptr;  // null once closed
};
class Recorder final : public StreamHandler {
 public:
  explicit Recorder(std::shared_ptr<Seen> seen, std::function<void()> at_end = {})
      : seen_(std::move(seen)), at_end_(std::move(at_end)) {}
  void on_data(std::span<const uint8_t> data) override {
    seen_->data.append(reinterpret_cast<const char*>(data.data()), data.size());
  }
  void on_end() override {
    seen_->ended = true;
    if (at_end_) at_end_();
  }
  void on_close(uint32_t code) override {
    ++seen_->closed;
    seen_->code = code;
    seen_->stream = nullptr;
  }

 private:
  std::shared_ptr<Seen> seen_;
  std::function<void()> at_end_;
};

// A body of known bytes. `next` may make a read short or pending.
class TextBody final : public BodySource {
 public:
  struct Step {
    size_t at_most = SIZE_MAX;
    bool pending = false;  // after these bytes
  };
  explicit TextBody(std::string text, Headers trailers = {}, std::function<Step()> next = {})
      : text_(std::move(text)), trailers_(std::move(trailers)), next_(std::move(next)) {}
  BodyRead read(std::span<uint8_t> out) override;
  Headers trailers() override { return trailers_; }

 private:
  std::string text_;
  size_t at_ = 0;
  Headers trailers_;
  std::function<Step()> next_;
};

// Bytes in which a shift, a gap or a repeat shows.
std::string pattern(size_t size);

}  // namespace depot::http2

// The client engine against our server engine, and against frames made by hand where a server of
// nghttp2's would not send them.
#include "http2/client.h"

#include <gtest/gtest.h>

#include <cstring>

#include "peer.h"

namespace depot::http2 {
namespace {

class Body final : public RequestBody {
 public:
  explicit Body(std::string text, bool ends = true) : text_(std::move(text)), ends_(ends) {}
  Ready ready(size_t max) override {
    size_t bytes = std::min(text_.size() - at_, max);
    if (bytes < text_.size() - at_) return {bytes, BodyState::kMore};
    return {bytes, ends_ ? BodyState::kEnd : BodyState::kPending};
  }
  void take(size_t bytes, Output& out) override {
    // In two pieces, one of which is lent.
    size_t half = bytes / 2;
    std::memcpy(out.reserve(half), text_.data() + at_, half);
    out.commit(half);
    auto rest = std::make_shared<std::string>(text_.substr(at_ + half, bytes - half));
    if (out.takes_loans()) {
      out.lend({{reinterpret_cast<const uint8_t*>(rest->data()), rest->size()}, rest});
    } else {
      std::memcpy(out.reserve(rest->size()), rest->data(), rest->size());
      out.commit(rest->size());
    }
    at_ += bytes;
  }
  void more(const std::string& text, bool ends) {
    text_ += text;
    ends_ = ends;
  }

 private:
  std::string text_;
  size_t at_ = 0;
  bool ends_;
};

struct Heard {
  std::vector<Headers> headers;
  std::vector<bool> ends;
  std::string data;
  bool ended = false;
  int closed = 0;
  uint32_t code = 0;
  std::string find(size_t which, std::string_view name) const {
    return std::string(headers.at(which).find(name).value_or("(none)"));
  }
};

class Listener final : public ResponseHandler {
 public:
  explicit Listener(std::shared_ptr<Heard> heard) : heard_(std::move(heard)) {}
  void on_headers(const Headers& headers, bool end) override {
    heard_->headers.push_back(headers);
    heard_->ends.push_back(end);
    if (reset_at_once) exchange->reset(8);
  }
  void on_data(std::span<const uint8_t> data) override {
    heard_->data.append(reinterpret_cast<const char*>(data.data()), data.size());
    if (consumes) exchange->consume(data.size());
  }
  void on_end() override { heard_->ended = true; }
  void on_close(uint32_t code) override {
    ++heard_->closed;
    heard_->code = code;
  }

  Exchange* exchange = nullptr;
  bool consumes = true;
  bool reset_at_once = false;

 private:
  std::shared_ptr<Heard> heard_;
};

const Headers kRequest{
    {":method", "POST"}, {":scheme", "http"}, {":path", "/a.B/C"}, {":authority", "b"}};

std::string output(ClientConnection& client, size_t budget = 32 << 10) {
  std::string all;
  for (;;) {
    Output out(budget);
    if (client.produce(out) == 0) return all;
    for (const auto& piece : out.pieces())
      all.append(reinterpret_cast<const char*>(piece.bytes.data()), piece.bytes.size());
  }
}

base::Status feed(ClientConnection& client, std::string_view bytes, size_t piece = SIZE_MAX) {
  while (!bytes.empty()) {
    auto part = bytes.substr(0, piece);
    auto status = client.receive({reinterpret_cast<const uint8_t*>(part.data()), part.size()});
    if (!status.ok()) return status;
    bytes.remove_prefix(part.size());
  }
  return {};
}

class Client : public testing::Test {
 protected:
  struct Call {
    std::shared_ptr<Heard> heard = std::make_shared<Heard>();
    std::shared_ptr<Listener> listener = std::make_shared<Listener>(heard);
    std::shared_ptr<Body> body;
    Exchange* exchange = nullptr;
  };
  Call start(std::shared_ptr<Body> body) {
    Call call;
    call.body = std::move(body);
    call.exchange = client_->start(kRequest, call.body, call.listener);
    call.listener->exchange = call.exchange;
    return call;
  }
  // Until neither has anything to say.
  void run(ServerConnection& server, size_t piece = SIZE_MAX, size_t budget = 32 << 10) {
    for (;;) {
      std::string out = output(*client_, budget);
      if (!out.empty()) {
        ASSERT_TRUE(receive(server, out).ok());
      }
      std::string back = produce_all(server);
      ASSERT_TRUE(feed(*client_, back, piece).ok()) << client_->failure().message();
      if (out.empty() && back.empty()) return;
    }
  }
  // Answers each request at its end with what it was sent.
  std::unique_ptr<ServerConnection> echo(const ServerOptions& options = {}) {
    return ServerConnection::create(options, [this](Stream& stream) {
      seen_ = std::make_shared<Seen>();
      seen_->stream = &stream;
      return std::make_unique<Recorder>(seen_, [seen = seen_] {
        seen->stream->respond({{":status", "200"}, {"first", "yes"}},
                              std::make_unique<TextBody>(seen->data, Headers{{"last", "yes"}}));
      });
    });
  }

  std::unique_ptr<ClientConnection> client_ = ClientConnection::create({});
  std::shared_ptr<Seen> seen_;
};

TEST_F(Client, ExchangesBodiesOfAnySizeHoweverTheyAreCut) {
  for (size_t size : {size_t{0}, size_t{1}, size_t{16384}, size_t{16385}, size_t{3} << 20}) {
    for (size_t piece : {size_t{1}, size_t{10}, size_t{4096}, SIZE_MAX}) {
      if (piece < 4096 && size > 100000) continue;
      client_ = ClientConnection::create({});
      auto server = echo();
      auto call = start(std::make_shared<Body>(pattern(size)));
      run(*server, piece, 1000 + piece % 64000);
      EXPECT_EQ(call.heard->data, pattern(size));
      ASSERT_EQ(call.heard->headers.size(), 2u);
      EXPECT_EQ(call.heard->find(0, ":status"), "200");
      EXPECT_EQ(call.heard->find(0, "first"), "yes");
      EXPECT_EQ(call.heard->find(1, "last"), "yes");
      EXPECT_EQ(call.heard->ends, (std::vector<bool>{false, true}));
      EXPECT_EQ(call.heard->closed, 1);
      EXPECT_EQ(call.heard->code, 0u);
      EXPECT_EQ(client_->open_exchanges(), 0u);
    }
  }
}

TEST_F(Client, SendsWhatComesLater) {
  auto server = echo();
  auto call = start(std::make_shared<Body>("", false));
  run(*server);
  EXPECT_EQ(seen_->data, "");
  call.body->more("one", false);
  call.exchange->resume();
  run(*server);
  EXPECT_EQ(seen_->data, "one");
  EXPECT_FALSE(seen_->ended);
  call.body->more("two", true);
  call.exchange->resume();
  run(*server);
  EXPECT_EQ(call.heard->data, "onetwo");
}

TEST_F(Client, AResetEndsItOnBothSidesAndTheOthersGoOn) {
  auto server = echo();
  auto first = start(std::make_shared<Body>("", false));
  run(*server);
  auto left = seen_;
  first.exchange->reset(8);
  auto second = start(std::make_shared<Body>("here"));
  run(*server);
  EXPECT_EQ(left->closed, 1);
  EXPECT_EQ(left->code, 8u);
  EXPECT_EQ(first.heard->closed, 1);
  EXPECT_EQ(second.heard->data, "here");
}

TEST_F(Client, AResetWithinAHandlerIsFine) {
  auto server = echo();
  auto call = start(std::make_shared<Body>("x"));
  call.listener->reset_at_once = true;
  run(*server);
  EXPECT_EQ(call.heard->closed, 1);
}

TEST_F(Client, AResetBeforeItsRequestLeftIsFine) {
  auto server = echo();
  auto call = start(std::make_shared<Body>("x"));
  call.exchange->reset(8);
  run(*server);
  EXPECT_EQ(call.heard->closed, 1);
  EXPECT_EQ(client_->open_exchanges(), 0u);
}

TEST_F(Client, WhatIsNotConsumedHoldsThePeerBack) {
  client_ = ClientConnection::create({.stream_window = 100000, .connection_window = 300000});
  auto server = echo();
  auto slow = start(std::make_shared<Body>(pattern(1 << 20)));
  slow.listener->consumes = false;
  run(*server);
  EXPECT_EQ(slow.heard->data.size(), 100000u);
  auto quick = start(std::make_shared<Body>(pattern(1 << 20)));
  run(*server);
  EXPECT_EQ(quick.heard->data.size(), size_t{1} << 20) << "a slow neighbour does not stop it";
  slow.listener->consumes = true;
  slow.exchange->consume(100000);
  run(*server);
  EXPECT_EQ(slow.heard->data, pattern(1 << 20));
}

TEST_F(Client, AfterGoawayTheOldEndAndNoNewBegin) {
  auto server = echo();
  auto call = start(std::make_shared<Body>("", false));
  run(*server);
  server->shut_down();
  run(*server);
  EXPECT_FALSE(client_->accepts());
  EXPECT_EQ(start(std::make_shared<Body>("x")).exchange, nullptr);
  call.body->more("late", true);
  call.exchange->resume();
  std::string back;
  ASSERT_TRUE(receive(*server, output(*client_)).ok());
  back = produce_all(*server);
  (void)feed(*client_, back);
  EXPECT_EQ(call.heard->data, "late");
  EXPECT_EQ(call.heard->code, 0u);
}

TEST_F(Client, EndsWhatIsOpenWithTheConnection) {
  auto call = start(std::make_shared<Body>("x"));
  client_ = nullptr;
  EXPECT_EQ(call.heard->closed, 1);
  EXPECT_EQ(call.heard->code, 8u);
}

// --- frames by hand ------------------------------------------------------------------------------

std::string frame(uint8_t type, uint8_t flags, uint32_t id, std::string_view payload) {
  std::string made;
  for (int shift : {16, 8, 0}) made.push_back(static_cast<char>(payload.size() >> shift));
  made.push_back(static_cast<char>(type));
  made.push_back(static_cast<char>(flags));
  for (int shift : {24, 16, 8, 0}) made.push_back(static_cast<char>(id >> shift));
  return made + std::string(payload);
}
std::string literal(const std::string& name, const std::string& value) {
  auto text = [](const std::string& of) {
    std::string made;
    size_t size = of.size();
    if (size < 127) return std::string(1, static_cast<char>(size)) + of;
    made.push_back(0x7f);
    for (size -= 127; size >= 128; size >>= 7)
      made.push_back(static_cast<char>(0x80 | (size & 127)));
    made.push_back(static_cast<char>(size));
    return made + of;
  };
  return std::string(1, '\0') + text(name) + text(value);
}
// Of the last of some frames.
int last_type(std::string_view frames) {
  int type = -1;
  while (frames.size() >= 9) {
    size_t size = 0;
    for (size_t i = 0; i < 3; ++i) size = size << 8 | static_cast<uint8_t>(frames[i]);
    type = frames[3];
    frames.remove_prefix(std::min(frames.size(), 9 + size));
  }
  return type;
}
const std::string kSettings = frame(4, 0, 0, "");
constexpr uint8_t kEndStream = 1, kEndHeaders = 4, kPadded = 8, kPriority = 32;

TEST_F(Client, TrailersMayBeLongerThanNghttp2Reads) {
  for (size_t piece : {size_t{7}, size_t{16384}, SIZE_MAX}) {
    client_ = ClientConnection::create({});
    auto call = start(std::make_shared<Body>("x"));
    auto other = start(std::make_shared<Body>("y"));
    (void)output(*client_);
    std::string details(300000, 'd');
    std::string block = literal("grpc-status", "2") + literal("grpc-status-details-bin", details);
    std::string sent = kSettings + frame(1, kEndHeaders, 1, "\x88") + frame(0, 0, 1, "data");
    for (size_t at = 0; at < block.size(); at += 16384) {
      bool last = at + 16384 >= block.size();
      sent += frame(at == 0 ? 1 : 9, (at == 0 ? kEndStream : 0) | (last ? kEndHeaders : 0), 1,
                    std::string_view(block).substr(at, 16384));
    }
    sent += frame(1, kEndHeaders | kEndStream, 3, "\x88");
    ASSERT_TRUE(feed(*client_, sent, piece).ok()) << client_->failure().message();
    EXPECT_EQ(call.heard->data, "data");
    EXPECT_EQ(call.heard->find(1, "grpc-status-details-bin"), details);
    EXPECT_EQ(call.heard->closed, 1);
    EXPECT_EQ(call.heard->code, 0u);
    EXPECT_EQ(other.heard->find(0, ":status"), "200");
  }
}

TEST_F(Client, FieldsMayBePaddedAndPrioritised) {
  auto call = start(std::make_shared<Body>("x"));
  (void)output(*client_);
  std::string payload = std::string("\x03\0\0\0\0\x10", 6) + "\x88" + literal("a", "b") + "pad";
  ASSERT_TRUE(feed(*client_,
                   kSettings + frame(1, kEndHeaders | kPadded | kPriority | kEndStream, 1, payload),
                   5)
                  .ok());
  EXPECT_EQ(call.heard->find(0, "a"), "b");
}

TEST_F(Client, InformationalAnswersAreLeftOut) {
  auto call = start(std::make_shared<Body>("x"));
  (void)output(*client_);
  std::string sent = kSettings + frame(1, kEndHeaders, 1, literal(":status", "103")) +
                     frame(1, kEndHeaders, 1, "\x88") +
                     frame(1, kEndHeaders | kEndStream, 1, literal("last", "yes"));
  ASSERT_TRUE(feed(*client_, sent).ok());
  ASSERT_EQ(call.heard->headers.size(), 2u);
  EXPECT_EQ(call.heard->find(0, ":status"), "200");
  EXPECT_EQ(call.heard->find(1, "last"), "yes");
}

TEST_F(Client, AnAnswerThatIsTooLargeEndsItsExchangeAlone) {
  client_ = ClientConnection::create({.max_header_list = 1000});
  auto call = start(std::make_shared<Body>("x"));
  auto other = start(std::make_shared<Body>("y"));
  (void)output(*client_);
  // 30 bytes that make 4 fields of 300.
  std::string entry = std::string(1, 0x40) + literal("n", std::string(260, 'v')).substr(1);
  std::string sent = kSettings + frame(1, kEndHeaders, 1, "\x88" + entry + "\xbe\xbe\xbe") +
                     frame(1, kEndHeaders | kEndStream, 3, "\x88");
  ASSERT_TRUE(feed(*client_, sent).ok()) << client_->failure().message();
  (void)output(*client_);
  EXPECT_TRUE(call.heard->headers.empty());
  EXPECT_EQ(call.heard->closed, 1);
  EXPECT_EQ(call.heard->code, 2u);
  EXPECT_EQ(other.heard->find(0, ":status"), "200");
}

TEST_F(Client, WhatIsBrokenEndsTheConnectionWithAReason) {
  struct Case {
    std::string bytes, why;
  };
  const std::vector<Case> cases = {
      {"HTTP/1.1 400 Bad Request\r\n\r\n", "does not speak HTTP/2"},
      {kSettings + frame(1, kEndHeaders, 1, "\xff\xff"), "field block"},
      {kSettings + frame(1, 0, 1, "\x88") + frame(0, 0, 1, "x"), "between those of a field block"},
      {kSettings + frame(1, 0, 1, "\x88") + frame(9, kEndHeaders, 3, ""), "between"},
      {kSettings + frame(1, kEndHeaders, 0, "\x88"), "without a stream"},
      {kSettings + frame(1, kEndHeaders | kPadded, 1, "\x09\x88"), "padding"},
      {kSettings + frame(1, kEndHeaders, 1, std::string(20000, 'x')), "too large"},
      {kSettings + frame(9, kEndHeaders, 1, "\x88"), "HTTP/2 connection"},
      {kSettings + frame(0, 0, 0, "x"), "HTTP/2 connection"},
  };
  for (const auto& one : cases) {
    client_ = ClientConnection::create({});
    auto call = start(std::make_shared<Body>("x"));
    (void)output(*client_);
    (void)feed(*client_, one.bytes);
    std::string said = output(*client_);
    EXPECT_FALSE(client_->failure().ok()) << one.why;
    EXPECT_NE(client_->failure().message().find(one.why), std::string::npos)
        << client_->failure().message();
    EXPECT_EQ(last_type(said), 7) << "GOAWAY: " << one.why;
    client_ = nullptr;
    EXPECT_EQ(call.heard->closed, 1) << one.why;
  }
}

TEST_F(Client, AFieldBlockWithoutEndIsBounded) {
  client_ = ClientConnection::create({.max_header_list = 1 << 20});
  auto call = start(std::make_shared<Body>("x"));
  (void)output(*client_);
  std::string part(16000, '\x88');
  base::Status status = feed(*client_, kSettings + frame(1, 0, 1, part));
  int frames = 0;
  while (status.ok() && frames < 200) {
    status = feed(*client_, frame(9, 0, 1, part));
    ++frames;
  }
  EXPECT_FALSE(status.ok());
  EXPECT_LT(frames, 70);
}

TEST_F(Client, DamagedConversationsDoNoHarm) {
  std::mt19937 random(20261130);
  // What a server says to three requests.
  auto server = echo();
  std::vector<Call> calls;
  for (size_t size : {100, 0, 5000}) calls.push_back(start(std::make_shared<Body>(pattern(size))));
  ASSERT_TRUE(receive(*server, output(*client_)).ok());
  const std::string good = produce_all(*server);
  size_t refused = 0;
  for (int round = 0; round < 10000; ++round) {
    client_ = ClientConnection::create({});
    calls.clear();
    for (size_t size : {100, 0, 5000})
      calls.push_back(start(std::make_shared<Body>(pattern(size))));
    (void)output(*client_);
    std::string bad = good;
    for (size_t n = 1 + random() % 5; n > 0; --n) {
      size_t at = random() % bad.size();
      switch (random() % 4) {
        case 0:
          bad[at] = static_cast<char>(random());
          break;
        case 1:
          bad.erase(at, random() % 20);
          break;
        case 2:
          bad.insert(at, bad.substr(random() % bad.size(), random() % 40));
          break;
        default:
          bad.insert(at, frame(random() % 10, random() & 0xff, random() % 8,
                               std::string(random() % 9, static_cast<char>(random()))));
      }
      if (bad.empty()) bad = good;
    }
    (void)feed(*client_, bad, 1 + random() % 2000);
    (void)output(*client_);
    if (!client_->failure().ok()) ++refused;
    client_ = nullptr;
    for (const auto& call : calls) ASSERT_EQ(call.heard->closed, 1) << round;
  }
  EXPECT_GT(refused, 1000u);
}

}  // namespace
}  // namespace depot::http2

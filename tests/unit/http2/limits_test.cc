// What a peer may do, and what it may not: header lists, floods, prefaces.
#include <gtest/gtest.h>

#include "peer.h"

namespace depot::http2 {
namespace {

struct Counter {
  std::shared_ptr<Seen> seen = std::make_shared<Seen>();
  int accepted = 0;
  size_t header_bytes = 0;
  std::unique_ptr<ServerConnection> connection;

  explicit Counter(ServerOptions options = {}) {
    connection = ServerConnection::create(options, [this](Stream& stream) {
      ++accepted;
      for (const auto& header : stream.request()) header_bytes += header.value.size();
      seen->stream = &stream;
      return std::make_unique<Recorder>(seen, [&stream] {
        stream.respond(Headers{{":status", "200"}}, std::make_unique<TextBody>("ok"));
      });
    });
  }
};

Fields with_padding(size_t bytes) {
  Fields fields{{":method", "POST"}, {":scheme", "http"}, {":authority", "h"}, {":path", "/x"}};
  for (size_t i = 0; bytes > 0; ++i) {
    size_t size = std::min<size_t>(bytes, 8000);
    fields.emplace_back("pattern", pattern(size));
    for (auto& c : fields.back().second)
      c = static_cast<char>('a' + static_cast<unsigned char>(c) % 26);
    bytes -= size;
  }
  return fields;
}

TEST(Limits, TakesHeaderListsOfManyContinuations) {
  Counter server;
  Peer peer;
  int32_t id = peer.request(with_padding(250 << 10));
  ASSERT_TRUE(run(peer, *server.connection).ok());
  EXPECT_EQ(peer.answer(id).status, "200");
  EXPECT_GE(server.header_bytes, size_t{250 << 10});
}

TEST(Limits, TakesThemByteByByte) {
  Counter server;
  Peer peer;
  Cuts cuts;
  cuts.in = [] { return size_t{1}; };
  int32_t id = peer.request(with_padding(100 << 10));
  auto status = run(peer, *server.connection, cuts);
  ASSERT_TRUE(status.ok()) << status.message();
  EXPECT_EQ(peer.answer(id).status, "200");
}

TEST(Limits, AnswersALargerHeaderListWith431) {
  Counter server;
  Peer peer;
  int32_t id = peer.request(with_padding(1025 << 10));
  int32_t neighbour = peer.request(with_padding(10));
  ASSERT_TRUE(run(peer, *server.connection).ok());
  EXPECT_EQ(peer.answer(id).status, "431");
  EXPECT_EQ(peer.answer(neighbour).status, "200");
  EXPECT_EQ(server.accepted, 1);
}

TEST(Limits, HeadersOfManyRequestsAreBoundedTogether) {
  Counter server;
  Peer peer;
  std::vector<int32_t> ids;
  for (int i = 0; i < 200; ++i) ids.push_back(peer.request(with_padding(200 << 10), "x", false));
  ASSERT_TRUE(run(peer, *server.connection).ok());
  EXPECT_LE(server.header_bytes, size_t{16 << 20});
  EXPECT_GE(server.accepted, 70);
  EXPECT_LT(server.accepted, 90);
  EXPECT_EQ(peer.answer(ids.back()).status, "431");
  // They count as long as they are open.
  for (int32_t id : ids) peer.reset(id);
  int32_t later = peer.request(with_padding(200 << 10));
  ASSERT_TRUE(run(peer, *server.connection).ok());
  EXPECT_EQ(peer.answer(later).status, "200");
}

TEST(Limits, AnEndlessHeaderBlockBreaksTheConnection) {
  Counter server;
  Peer peer;
  (void)run(peer, *server.connection);
  // HEADERS without END_HEADERS, then CONTINUATION after CONTINUATION.
  std::string headers("\0\0\1\1\0\0\0\0\1\x82", 10);
  std::string more("\0\0\1\x9\0\0\0\0\1\x82", 10);
  base::Status status = receive(*server.connection, headers);
  for (int i = 0; i < 1000 && status.ok(); ++i) status = receive(*server.connection, more);
  EXPECT_FALSE(status.ok());
  EXPECT_EQ(server.accepted, 0);
}

TEST(Limits, MoreStreamsThanAllowedAreRefused) {
  ServerOptions options;
  options.max_concurrent_streams = 10;
  Counter server(options);
  Peer peer;
  std::vector<int32_t> ids;
  for (int i = 0; i < 12; ++i) ids.push_back(peer.post("/x", "x", false));
  ASSERT_TRUE(receive(*server.connection, peer.take()).ok());
  EXPECT_EQ(server.accepted, 10);
  ASSERT_TRUE(run(peer, *server.connection).ok());
  EXPECT_EQ(peer.answer(ids[11]).closed, static_cast<uint32_t>(NGHTTP2_REFUSED_STREAM));
}

TEST(Limits, ResetsAsOftenAsTheDaemonMakesThemAreTolerated) {
  Counter server;
  Peer peer;
  for (int i = 0; i < 5000; ++i) {
    int32_t id = peer.post("/x", "x", false);
    ASSERT_TRUE(run(peer, *server.connection).ok()) << i;
    peer.reset(id);
    ASSERT_TRUE(run(peer, *server.connection).ok()) << i;
  }
  EXPECT_EQ(server.accepted, 5000);
  EXPECT_EQ(server.seen->closed, 5000);
  EXPECT_EQ(server.connection->open_streams(), 0u);
}

TEST(Limits, AFloodOfResetsBreaksTheConnection) {
  Counter server;
  Peer peer;
  base::Status status;
  for (int i = 0; i < 100000 && status.ok(); ++i) {
    int32_t id = peer.post("/x", "x", false);
    status = receive(*server.connection, peer.take());
    if (!status.ok()) break;
    peer.reset(id);
    status = receive(*server.connection, peer.take());
    (void)produce_all(*server.connection);
    if (server.connection->finished()) break;
  }
  EXPECT_TRUE(!status.ok() || server.connection->finished());
  EXPECT_GT(server.accepted, 9000);
  EXPECT_LT(server.accepted, 100000);
}

TEST(Limits, ABadPrefaceIsAnError) {
  Counter server;
  EXPECT_FALSE(receive(*server.connection, "GET / HTTP/1.1\r\nHost: h\r\n\r\n").ok());
  (void)produce_all(*server.connection);
  EXPECT_FALSE(receive(*server.connection, "PRI").ok()) << "it stays dead";
  Counter other;
  EXPECT_TRUE(receive(*other.connection, "PRI * HTTP/2.0\r\n").ok()) << "half of one is none yet";
  EXPECT_FALSE(receive(*other.connection, "SM\r\n\r\n").ok());
}

TEST(Limits, AProtocolErrorTellsThePeerAndEveryStream) {
  Counter server;
  Peer peer;
  peer.post("/x", "x", false);
  ASSERT_TRUE(run(peer, *server.connection).ok());
  // DATA on stream 0.
  base::Status status = receive(*server.connection, std::string("\0\0\1\0\0\0\0\0\0x", 10));
  peer.feed(produce_all(*server.connection));
  EXPECT_TRUE(peer.got_goaway());
  EXPECT_EQ(peer.goaway_code(), static_cast<uint32_t>(NGHTTP2_PROTOCOL_ERROR));
  EXPECT_FALSE(status.ok() && receive(*server.connection, "x").ok());
  server.connection = nullptr;
  EXPECT_EQ(server.seen->closed, 1);
}

}  // namespace
}  // namespace depot::http2

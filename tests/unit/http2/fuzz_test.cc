// Ten thousand connections whose bytes were damaged on the way, the same ones each time. Whatever
// comes: no crash, no endless loop, and every handler hears of its end once.
#include <gtest/gtest.h>

#include "http2/grpc.h"
#include "peer.h"

namespace depot::http2 {
namespace {

std::string conversation(std::mt19937& random) {
  Peer peer;
  for (int i = 0; i < 3; ++i) {
    int32_t id = peer.post(i == 1 ? "/none" : "/test.Test/Echo",
                           framed(pattern(random() % 300)) + framed("x"), random() % 2 == 0);
    if (random() % 4 == 0) peer.give(id, 100);
  }
  peer.give(0, 1000);
  nghttp2_submit_ping(peer.session(), NGHTTP2_FLAG_NONE, nullptr);
  std::string all = peer.take();
  peer.reset(1);
  peer.goaway();
  return all + peer.take();
}

void mutate(std::string& bytes, std::mt19937& random) {
  // Past the preface mostly: there is nothing behind a bad one.
  size_t from = random() % 50 == 0 ? 0 : 24;
  for (size_t n = 1 + random() % 6; n > 0; --n) {
    size_t at = from + random() % (bytes.size() - from);
    switch (random() % 5) {
      case 0:
        bytes[at] = static_cast<char>(random());
        break;
      case 1:
        bytes[at] = static_cast<char>(bytes[at] ^ (1 << random() % 8));
        break;
      case 2:
        bytes.insert(at, bytes.substr(from + random() % (bytes.size() - from), random() % 60));
        break;
      case 3:
        bytes.erase(at, random() % 30);
        break;
      default:
        // A frame header of any kind.
        for (size_t i = 0; i < 9; ++i)
          bytes.insert(at, 1, static_cast<char>(random() % 3 == 0 ? random() : 0));
    }
    if (bytes.size() < from + 64) break;
  }
}

TEST(Fuzz, DamagedConversationsDoNoHarm) {
  std::mt19937 random(20261123);
  size_t refused = 0;
  for (int round = 0; round < 10000; ++round) {
    int opened = 0;
    int closed = 0;
    struct Handler final : CallHandler {
      Handler(std::shared_ptr<Call> c, int& n) : call(std::move(c)), closed(n) {}
      void on_message(std::span<const uint8_t> message) override {
        call->send(std::string(message.size() * 3, 'x'));
      }
      void on_half_close() override { call->finish({}); }
      void on_end(const base::Status&) override { ++closed; }
      std::shared_ptr<Call> call;
      int& closed;
    };
    GrpcServer methods;
    methods.add("/test.Test/Echo", [&](std::shared_ptr<Call> call) {
      ++opened;
      return std::make_unique<Handler>(std::move(call), closed);
    });
    ServerOptions options;
    options.manual_window = round % 2 == 0;
    auto server =
        ServerConnection::create(options, [&](Stream& stream) { return methods.accept(stream); });
    std::string bytes = conversation(random);
    mutate(bytes, random);
    std::string out(10 + random() % 5000, '\0');
    size_t said = 0;
    for (size_t at = 0; at < bytes.size();) {
      size_t size = std::min<size_t>(1 + random() % 400, bytes.size() - at);
      bool ok = receive(*server, std::string_view(bytes).substr(at, size)).ok();
      while (size_t wrote = server->produce({reinterpret_cast<uint8_t*>(out.data()), out.size()})) {
        said += wrote;
        ASSERT_LT(said, size_t{1 << 20}) << "round " << round;
      }
      if (!ok) {
        ++refused;
        break;
      }
      at += size;
    }
    server = nullptr;
    ASSERT_EQ(opened, closed) << "round " << round;
  }
  EXPECT_GT(refused, 1000u);
}

}  // namespace
}  // namespace depot::http2

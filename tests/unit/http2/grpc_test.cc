// gRPC's framing, statuses and back-pressure over a real client.
#include "http2/grpc.h"

#include <gtest/gtest.h>

#include "peer.h"

namespace depot::http2 {
namespace {

using base::Code;
using base::Hop;
using base::Status;

// A method whose handler only records; the test answers by `call`.
struct Record {
  std::shared_ptr<Call> call;
  std::vector<std::string> messages;
  int half_closes = 0;
  int ends = 0;
  Status why;
  std::function<void(const std::string&)> on_message;
  bool takes_parts = false;
  std::string part;  // of a message that is under way
  size_t parts = 0;
};

class RecordHandler final : public CallHandler {
 public:
  explicit RecordHandler(std::shared_ptr<Record> record) : record_(std::move(record)) {}
  void on_message(std::span<const uint8_t> message) override {
    record_->messages.emplace_back(reinterpret_cast<const char*>(message.data()), message.size());
    if (record_->on_message) record_->on_message(record_->messages.back());
  }
  bool on_part(std::span<const uint8_t> bytes, size_t left) override {
    if (!record_->takes_parts) return false;
    EXPECT_FALSE(bytes.empty());
    ++record_->parts;
    record_->part.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (left == 0) record_->messages.push_back(std::exchange(record_->part, ""));
    return true;
  }
  void on_half_close() override { ++record_->half_closes; }
  void on_end(const Status& why) override {
    ++record_->ends;
    record_->why = why;
  }

 private:
  std::shared_ptr<Record> record_;
};

class Grpc : public testing::Test {
 protected:
  void SetUp() override {
    server_.add("/test.Test/Stream", [this](std::shared_ptr<Call> call) {
      auto record = std::make_shared<Record>();
      record->call = std::move(call);
      record->on_message = on_message_;
      record->takes_parts = takes_parts_;
      records_.push_back(record);
      return std::make_unique<RecordHandler>(record);
    });
    server_.add_unary(
        "/test.Test/Echo",
        [](std::span<const uint8_t> request, const Headers& metadata) -> base::Result<std::string> {
          std::string text(reinterpret_cast<const char*>(request.data()), request.size());
          if (text == "fail")
            return Status(Code::kNotFound, Hop::kSession, "no such thing: 100 % \n");
          return text + std::string(metadata.find("suffix").value_or(""));
        });
    server_.add_async_unary("/test.Test/Later", [this](std::string request, const Headers&,
                                                       GrpcServer::UnaryDone done) {
      later_.emplace_back(std::move(request), std::move(done));
    });
    connect({});
  }
  void connect(ServerOptions options) {
    connection_ = ServerConnection::create(
        options, [this](Stream& stream) { return server_.accept(stream); });
  }
  void go() { ASSERT_TRUE(run(peer_, *connection_, cuts_).ok()); }

  GrpcServer server_;
  std::unique_ptr<ServerConnection> connection_;
  Peer peer_{PeerOptions{1u << 20, false}};
  Cuts cuts_;
  std::vector<std::shared_ptr<Record>> records_;
  std::vector<std::pair<std::string, GrpcServer::UnaryDone>> later_;
  std::function<void(const std::string&)> on_message_;
  bool takes_parts_ = false;
};

TEST_F(Grpc, NamesItsMethods) {
  EXPECT_EQ(server_.paths(),
            (std::vector<std::string>{"/test.Test/Echo", "/test.Test/Later", "/test.Test/Stream"}));
}

TEST_F(Grpc, AnswersAUnaryCall) {
  int32_t id = peer_.post("/test.Test/Echo", framed("hello"));
  int32_t empty = peer_.post("/test.Test/Echo", framed(""));
  go();
  auto& answer = peer_.answer(id);
  EXPECT_EQ(answer.status, "200");
  EXPECT_EQ(answer.header("content-type"), "application/grpc");
  EXPECT_EQ(messages(answer.body), std::vector<std::string>{"hello"});
  EXPECT_EQ(answer.trailer("grpc-status"), "0");
  EXPECT_EQ(messages(peer_.answer(empty).body), std::vector<std::string>{""});
}

TEST_F(Grpc, SendsAnErrorAsTrailersOnly) {
  int32_t id = peer_.post("/test.Test/Echo", framed("fail"));
  go();
  auto& answer = peer_.answer(id);
  EXPECT_EQ(answer.header("grpc-status"), "5");
  EXPECT_EQ(answer.header("grpc-message"), "no such thing: 100 %25 %0A");
  EXPECT_EQ(answer.body, "");
  EXPECT_TRUE(answer.trailers.empty());
}

TEST_F(Grpc, AnswersAUnaryCallLater) {
  int32_t id = peer_.post("/test.Test/Later", framed("a"));
  int32_t gone = peer_.post("/test.Test/Later", framed("b"));
  go();
  ASSERT_EQ(later_.size(), 2u);
  EXPECT_FALSE(peer_.answer(id).ended);
  peer_.reset(gone);
  go();
  later_[0].second(std::string("answer to ") + later_[0].first);
  later_[1].second(std::string("to nobody"));
  go();
  EXPECT_EQ(messages(peer_.answer(id).body), std::vector<std::string>{"answer to a"});
  connection_ = nullptr;
  later_[0].second(std::string("after the end"));
}

TEST_F(Grpc, UnknownMethodsAreUnimplemented) {
  int32_t id = peer_.post("/test.Test/Nothing", framed("x"));
  go();
  EXPECT_EQ(peer_.answer(id).header("grpc-status"), "12");
  EXPECT_NE(peer_.answer(id).header("grpc-message").find("/test.Test/Nothing"), std::string::npos);
}

TEST_F(Grpc, OnlyGrpcIsAnswered) {
  int32_t get = peer_.request(
      {{":method", "GET"}, {":scheme", "http"}, {":authority", "h"}, {":path", "/test.Test/Echo"}});
  int32_t json = peer_.request({{":method", "POST"},
                                {":scheme", "http"},
                                {":authority", "h"},
                                {":path", "/test.Test/Echo"},
                                {"content-type", "application/json"}},
                               "{}");
  go();
  EXPECT_EQ(peer_.answer(get).status, "405");
  EXPECT_EQ(peer_.answer(json).status, "415");
}

TEST_F(Grpc, StreamsBothWays) {
  int32_t id = peer_.post("/test.Test/Stream", framed("one") + framed("two"), false);
  go();
  auto& record = *records_.at(0);
  EXPECT_EQ(record.messages, (std::vector<std::string>{"one", "two"}));
  record.call->send("first");
  EXPECT_EQ(record.call->queued(), 10u);
  go();
  EXPECT_EQ(record.call->queued(), 0u);
  EXPECT_EQ(messages(peer_.answer(id).body), std::vector<std::string>{"first"});
  peer_.more(id, framed("three"), true);
  go();
  EXPECT_EQ(record.half_closes, 1);
  record.call->send(pattern(100000));
  record.call->send("");
  record.call->finish({});
  record.call->send("too late");
  go();
  EXPECT_EQ(messages(peer_.answer(id).body),
            (std::vector<std::string>{"first", pattern(100000), ""}));
  EXPECT_EQ(peer_.answer(id).trailer("grpc-status"), "0");
  EXPECT_EQ(record.ends, 1);
  EXPECT_TRUE(record.why.ok());
  EXPECT_TRUE(record.call->ended());
  record.call->send("after the end");
  record.call->finish({});
}

TEST_F(Grpc, CarriesDetailsInTheTrailers) {
  int32_t id = peer_.post("/test.Test/Stream", framed("x"), false);
  go();
  base::Error error;
  error.code = Code::kUnauthenticated;
  error.message = "no";
  error.details.push_back({"t", std::string("\0\xff", 2)});
  records_[0]->call->finish(Status(error));
  go();
  // google.rpc.Status{16, "no", Any{"t", 00 ff}}, unpadded.
  EXPECT_EQ(peer_.answer(id).header("grpc-status-details-bin"), "CBASAm5vGgcKAXQSAgD/");
}

TEST_F(Grpc, CutsALongMessageOfAnError) {
  int32_t id = peer_.post("/test.Test/Stream", framed("x"));
  go();
  records_[0]->call->finish(Status(Code::kUnknown, Hop::kSession, std::string(1 << 20, 'x')));
  go();
  size_t size = peer_.answer(id).header("grpc-message").size();
  EXPECT_GT(size, 1000u);
  EXPECT_LE(size, size_t{8 << 10});
}

TEST_F(Grpc, ASourceWritesItsOwnFrames) {
  int32_t id = peer_.post("/test.Test/Stream", framed("x"), false);
  go();
  std::string body = framed(pattern(70000)) + framed("z");
  records_[0]->call->stream(std::make_unique<TextBody>(body), [] {
    return Status(Code::kDataLoss, Hop::kLocal, "a file could not be read");
  });
  go();
  EXPECT_EQ(messages(peer_.answer(id).body), (std::vector<std::string>{pattern(70000), "z"}));
  EXPECT_EQ(peer_.answer(id).trailer("grpc-status"), "15");
  // As the daemon's DiffCopy: no half-close, a reset with code 0 afterwards.
  peer_.reset(id, NGHTTP2_NO_ERROR);
  go();
  EXPECT_EQ(records_[0]->ends, 1);
  EXPECT_TRUE(records_[0]->why.ok());
}

TEST_F(Grpc, FinishEndsAPendingSource) {
  int32_t id = peer_.post("/test.Test/Stream", framed("x"), false);
  go();
  auto& call = *records_[0]->call;
  call.stream(std::make_unique<TextBody>(std::string(framed("never all")), Headers{},
                                         [] { return TextBody::Step{3, true}; }),
              [] { return Status(); });
  go();
  call.finish(Status(Code::kAborted, Hop::kSession, "enough"));
  go();
  EXPECT_EQ(peer_.answer(id).trailer("grpc-status"), "10");
}

class GrpcCuts : public Grpc, public testing::WithParamInterface<bool> {};

TEST_P(GrpcCuts, MessagesMayBeCutAnywhere) {
  takes_parts_ = GetParam();
  std::mt19937 random(4);
  cuts_.in = [&random] { return 1 + random() % 7; };
  std::string body;
  std::vector<std::string> sent;
  for (size_t i = 0; i < 200; ++i) {
    sent.push_back(pattern(random() % 40));
    body += framed(sent.back());
  }
  sent.push_back(pattern(50000));
  body += framed(sent.back());
  // Frames of odd sizes, so that DATA borders fall within prefixes.
  int32_t id = peer_.post("/test.Test/Stream", body.substr(0, 3), false);
  go();
  for (size_t at = 3; at < body.size();) {
    size_t size = std::min<size_t>(1 + random() % 300, body.size() - at);
    peer_.more(id, body.substr(at, size), at + size == body.size());
    go();
    at += size;
  }
  EXPECT_EQ(records_[0]->messages, sent);
  EXPECT_EQ(records_[0]->half_closes, 1);
  EXPECT_EQ(records_[0]->parts > 100, takes_parts_);
}
INSTANTIATE_TEST_SUITE_P(PutTogetherOrInParts, GrpcCuts, testing::Bool());

TEST_F(Grpc, AMessageInPartsThatIsCutOffEndsTheCall) {
  takes_parts_ = true;
  int32_t id = peer_.post("/test.Test/Stream", framed(pattern(50000)).substr(0, 30000), false);
  go();
  EXPECT_EQ(records_[0]->part, pattern(50000).substr(0, 29995));
  peer_.more(id, "x", true);
  go();
  EXPECT_EQ(peer_.answer(id).header("grpc-status"), "13");
  EXPECT_EQ(records_[0]->half_closes, 0);
  EXPECT_TRUE(records_[0]->messages.empty());
}

TEST_F(Grpc, RefusesMessagesAboveTheLimit) {
  int32_t fits = peer_.post("/test.Test/Echo", framed(pattern(256 << 10)));
  int32_t large = peer_.post("/test.Test/Echo", framed(pattern((256 << 10) + 1)));
  int32_t huge = peer_.post("/test.Test/Stream", std::string("\0\xff\xff\xff\xff", 5), false);
  go();
  EXPECT_EQ(messages(peer_.answer(fits).body).at(0), pattern(256 << 10));
  EXPECT_EQ(peer_.answer(large).header("grpc-status"), "8");
  EXPECT_EQ(peer_.answer(huge).header("grpc-status"), "8");
  EXPECT_TRUE(records_[0]->messages.empty());
}

TEST_F(Grpc, BoundsTheBeginningsOfAllMessages) {
  std::string begun = framed(pattern(15 << 20));
  begun.pop_back();
  std::vector<int32_t> ids;
  for (int i = 0; i < 6; ++i) ids.push_back(peer_.post("/test.Test/Stream", begun, false));
  go();
  size_t refused = 0;
  for (int32_t id : ids) refused += peer_.answer(id).header("grpc-status") == "8" ? 1 : 0;
  EXPECT_EQ(refused, 2u) << "64 MiB hold four";
  // What the refused ones held is free again, and so is what a call held that is broken off.
  for (int32_t id : ids) peer_.reset(id);
  go();
  int32_t id = peer_.post("/test.Test/Stream", framed(pattern(15 << 20)));
  go();
  EXPECT_EQ(records_.back()->messages.size(), 1u);
  EXPECT_EQ(peer_.answer(id).header("grpc-status"), "");
}

TEST_F(Grpc, RefusesCompressedMessages) {
  int32_t id = peer_.post("/test.Test/Echo", framed("x", 1));
  go();
  EXPECT_EQ(peer_.answer(id).header("grpc-status"), "12");
}

TEST_F(Grpc, RefusesAMessageThatIsCutOff) {
  int32_t id = peer_.post("/test.Test/Stream", framed("a") + framed("cut").substr(0, 7));
  int32_t none = peer_.post("/test.Test/Echo", "");
  go();
  EXPECT_EQ(peer_.answer(id).header("grpc-status"), "13");
  EXPECT_EQ(records_[0]->messages, std::vector<std::string>{"a"});
  EXPECT_EQ(records_[0]->half_closes, 0);
  EXPECT_EQ(peer_.answer(none).header("grpc-status"), "13");
}

TEST_F(Grpc, ACallThatTheClientBreaksOffEndsOnce) {
  int32_t id = peer_.post("/test.Test/Stream", framed("x"), false);
  go();
  peer_.reset(id);
  go();
  EXPECT_EQ(records_[0]->ends, 1);
  EXPECT_EQ(records_[0]->why.code(), Code::kCancelled);
  EXPECT_TRUE(records_[0]->call->ended());
  records_[0]->call->resume();
  records_[0]->call->hold(true);
  records_[0]->call->hold(false);
}

TEST_F(Grpc, HoldKeepsTheWindowAndNeighboursGoOn) {
  ServerOptions options;
  options.manual_window = true;
  options.stream_window = 100000;
  options.connection_window = 300000;
  connect(options);
  go();  // the client must know the window
  on_message_ = [this](const std::string&) { records_[0]->call->hold(true); };
  std::string message = framed(pattern(20000));
  std::string body;
  for (int i = 0; i < 50; ++i) body += message;
  int32_t held = peer_.post("/test.Test/Stream", body);
  go();
  EXPECT_EQ(peer_.sent(held), 100000u) << "one window and no more";
  on_message_ = nullptr;
  int32_t neighbour = peer_.post("/test.Test/Stream", body);
  go();
  EXPECT_EQ(peer_.sent(neighbour), body.size());
  EXPECT_EQ(records_[1]->messages.size(), 50u);
  EXPECT_EQ(peer_.sent(held), 100000u);
  // Held again with the next message, each time.
  size_t turns = 0;
  for (; records_[0]->half_closes == 0 && turns < 100; ++turns) {
    size_t before = peer_.sent(held);
    records_[0]->call->hold(false);
    go();
    EXPECT_LE(peer_.sent(held) - before, 100000u);
  }
  EXPECT_GE(turns, 9u);
  EXPECT_EQ(records_[0]->messages.size(), 50u);
}

TEST_F(Grpc, HandlersEndWithTheConnection) {
  peer_.post("/test.Test/Stream", framed("x"), false);
  peer_.post("/test.Test/Later", framed("x"));
  go();
  records_[0]->call->send("unsent");
  connection_ = nullptr;
  EXPECT_EQ(records_[0]->ends, 1);
  EXPECT_EQ(records_[0]->why.code(), Code::kCancelled);
  records_[0]->call->send("nobody hears");
}

}  // namespace
}  // namespace depot::http2

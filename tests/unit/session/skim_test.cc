// The store that keeps an export's index, called as the daemon calls it.
#include "session/skim.h"

#include <containerd/services/content/v1/content.pb.h>
#include <gmock/gmock.h>

#include "../http2/peer.h"
#include "content/digest.h"
#include "session/services.h"
#include "wire/methods.h"

namespace depot::session {
namespace {

namespace proto = ::containerd::services::content::v1;
using http2::framed;
using http2::messages;

class SkimService : public testing::Test {
 protected:
  SkimService() {
    options_.skims = {{"export", skim_}};
    add_content(server_, options_, [](const base::Loop::Task& task) { task(); });
    http2::ServerOptions engine;
    engine.manual_window = true;
    connection_ = http2::ServerConnection::create(
        engine, [this](http2::Stream& stream) { return server_.accept(stream); });
  }
  // The status of a call with these messages.
  std::string write(const std::vector<proto::WriteContentRequest>& all,
                    const std::string& store = "export") {
    std::string body;
    for (const auto& one : all) body += framed(one.SerializeAsString());
    int32_t id = peer_.request({{":method", "POST"},
                                {":scheme", "http"},
                                {":authority", "localhost"},
                                {":path", std::string(wire::kContentWrite)},
                                {"content-type", "application/grpc"},
                                {"buildkit-attachable-store-id", store}},
                               body, true);
    EXPECT_TRUE(http2::run(peer_, *connection_).ok());
    answers_ = messages(peer_.answer(id).body);
    auto& answer = peer_.answer(id);
    return answer.trailer("grpc-status") + answer.header("grpc-status");
  }
  static proto::WriteContentRequest message(proto::WriteAction action, const std::string& ref,
                                            const std::string& data = "", int64_t offset = 0,
                                            const std::string& expected = "") {
    proto::WriteContentRequest request;
    request.set_action(action);
    request.set_ref(ref);
    request.set_data(data);
    request.set_offset(offset);
    request.set_expected(expected);
    return request;
  }

  std::shared_ptr<Skim> skim_ = std::make_shared<Skim>();
  Options options_;
  http2::GrpcServer server_;
  http2::Peer peer_;
  std::unique_ptr<http2::ServerConnection> connection_;
  std::vector<std::string> answers_;
};

TEST_F(SkimService, KeepsWhatTheIndexIsMadeOf) {
  const std::string digest = content::digest_of("{}more").text();
  EXPECT_EQ(
      write({message(proto::STAT, "config-x"), message(proto::WRITE, "", "{}"),
             message(proto::WRITE, "", "more", 2), message(proto::COMMIT, "", "", 6, digest)}),
      "0");
  EXPECT_EQ(skim_->blob(digest), "{}more");
  ASSERT_EQ(answers_.size(), 4u);
  proto::WriteContentResponse last;
  ASSERT_TRUE(last.ParseFromString(answers_[3]));
  EXPECT_EQ(last.digest(), digest);
  EXPECT_EQ(last.offset(), 6);
}

TEST_F(SkimService, HasEveryLayer) {
  EXPECT_EQ(write({message(proto::STAT, "layer-sha256:x")}), "6");
  EXPECT_TRUE(answers_.empty());
}

TEST_F(SkimService, KeepsNothingThatIsNotWhatItSays) {
  const std::string digest = content::digest_of("{}").text();
  EXPECT_EQ(write({message(proto::COMMIT, "manifest-x", "[]", 0, digest)}), "9");
  EXPECT_EQ(skim_->blob(digest), std::nullopt);
  EXPECT_EQ(write({message(proto::WRITE, "manifest-x", "{}", 7)}), "11");
  EXPECT_EQ(write({message(static_cast<proto::WriteAction>(9), "manifest-x")}), "3");
  EXPECT_EQ(write({message(proto::STAT, "manifest-x")}, "local:x"), "5");
}

// The builder waits for each answer: one that does not is not worth the memory.
TEST_F(SkimService, AnswersNoneWhoTakesNoAnswers) {
  http2::Peer deaf{http2::PeerOptions{0, false}};
  std::string body;
  for (int i = 0; i < 20000; ++i)
    body += framed(message(proto::STAT, "config-x").SerializeAsString());
  int32_t id = deaf.request({{":method", "POST"},
                             {":scheme", "http"},
                             {":authority", "localhost"},
                             {":path", std::string(wire::kContentWrite)},
                             {"content-type", "application/grpc"},
                             {"buildkit-attachable-store-id", "export"}},
                            body, false);
  ASSERT_TRUE(http2::run(deaf, *connection_).ok());
  deaf.give(id, 1 << 20);
  ASSERT_TRUE(http2::run(deaf, *connection_).ok());
  EXPECT_EQ(deaf.answer(id).trailer("grpc-status"), "8");
  EXPECT_LT(deaf.answer(id).body.size(), 100u << 10);
}

TEST_F(SkimService, HasAnEnd) {
  auto large = message(proto::STAT, "manifest-x");
  large.set_total(Skim::kMaxBlob + 1);
  EXPECT_EQ(write({large}), "8");
  base::Status status;
  for (int i = 0; i < 4; ++i)
    EXPECT_TRUE(skim_->add(std::to_string(i), std::string(Skim::kMaxBlob, 'x')).ok());
  EXPECT_EQ(skim_->add("5", "x").code(), base::Code::kResourceExhausted);
}

}  // namespace
}  // namespace depot::session

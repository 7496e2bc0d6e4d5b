// The agent protocol, as a step speaks it.
#include "ssh/agent.h"

#include "keys.h"

namespace depot::ssh {
namespace {

using base::Secret;

std::string list_request() {
  return std::string(1, 11);
}

std::string sign_request(const std::string& blob, const std::string& data, uint32_t flags) {
  std::string out(1, 13);
  put_string(out, blob);
  put_string(out, data);
  put_number(out, flags);
  return out;
}

class AgentTest : public TempKeys {
 protected:
  void SetUp() override {
    TempKeys::SetUp();
    for (const std::string name : {"one", "two"}) {
      auto key = PrivateKey::parse(Secret(make(name, "-t ed25519")), name);
      ASSERT_TRUE(key.ok());
      blobs_.push_back(key->public_blob());
      keys_.push_back(std::move(*key));
    }
  }
  std::vector<std::string> blobs_;
  std::vector<PrivateKey> keys_;
};

TEST_F(AgentTest, ListsItsKeys) {
  std::string answer = Agent(keys_).answer(list_request());
  Reader fields(answer);
  EXPECT_EQ(fields.byte(), 12);
  EXPECT_EQ(fields.number(), 2u);
  for (size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(fields.string(), blobs_[i]);
    EXPECT_EQ(fields.string(), i == 0 ? "of one" : "of two");
  }
  EXPECT_TRUE(fields.rest().empty());
}

TEST_F(AgentTest, SignsWithTheKeyAskedFor) {
  Agent agent(keys_);
  for (const auto& key : keys_) {
    std::string answer = agent.answer(sign_request(key.public_blob(), "data", 0));
    Reader fields(answer);
    EXPECT_EQ(fields.byte(), 14);
    EXPECT_EQ(fields.string(), *key.sign("data", 0));  // Ed25519 has one signature for each data
  }
  EXPECT_EQ(agent.answer(sign_request("another", "data", 0)), agent_failure());
}

TEST_F(AgentTest, DoesNothingElse) {
  Agent agent(keys_);
  for (int type = 0; type < 256; ++type) {
    std::string request(1, static_cast<char>(type));
    bool allowed = type == 11 || type == 13;
    EXPECT_EQ(agent_allows(request), allowed) << type;
    EXPECT_EQ(agent.answer(request) == agent_failure(), type != 11) << type;
  }
  EXPECT_FALSE(agent_allows(""));
  EXPECT_EQ(agent.answer(""), agent_failure());
  std::string whole = sign_request(blobs_[0], "data", 0);
  for (size_t size = 0; size < whole.size(); ++size)
    EXPECT_EQ(agent.answer(whole.substr(0, size)), agent_failure());
}

TEST(AgentMessagesTest, ComeWholeHoweverTheyAreCut) {
  std::string stream =
      agent_frame("first") + agent_frame(std::string(kMaxAgentMessage, 'x')) + agent_frame("last");
  for (size_t step : {size_t{1}, size_t{3}, size_t{70000}, stream.size()}) {
    AgentMessages messages;
    std::vector<size_t> sizes;
    for (size_t at = 0; at < stream.size(); at += step) {
      ASSERT_TRUE(messages.feed(std::string_view(stream).substr(at, step)));
      while (auto one = messages.next()) sizes.push_back(one->size());
    }
    EXPECT_EQ(sizes, (std::vector<size_t>{5, kMaxAgentMessage, 4})) << step;
    EXPECT_TRUE(messages.empty());
  }
}

TEST(AgentMessagesTest, ThatAreTooLongOrEmptyAreNone) {
  for (const std::string& bad : {std::string("\xff\xff\xff\xff"), std::string(4, '\0'),
                                 agent_frame(std::string(kMaxAgentMessage + 1, 'x'))}) {
    AgentMessages messages;
    EXPECT_FALSE(messages.feed(bad));
    EXPECT_FALSE(messages.next());
  }
  AgentMessages late;
  EXPECT_TRUE(late.feed(agent_frame("good") + std::string(4, '\xff')));
  EXPECT_EQ(late.next(), "good");
  EXPECT_FALSE(late.next());
  EXPECT_FALSE(late.feed("more"));
}

}  // namespace
}  // namespace depot::ssh

// A connection that died without a word, and one over which there is nothing to say.
#include <gtest/gtest.h>

#include <future>

#include "quiet_builder.h"
#include "session/session.h"

namespace depot::session {
namespace {

using namespace std::chrono_literals;
using base::Code;
using base::Status;

class Silence : public testing::Test {
 protected:
  void open(const QuietBuilder& builder, std::chrono::milliseconds patience) {
    buildkit::Endpoint endpoint;
    endpoint.address = builder.address();
    auto channel = buildkit::Channel::open(endpoint);
    ASSERT_TRUE(channel.ok());
    channel_ = *channel;
    channel_->loop().post([this, patience] {
      Options options;
      options.id = "session";
      options.silence = 5ms;
      options.patience = patience;
      session_ = Session::open(channel_, std::move(options), [this](Status status) {
        session_ = nullptr;
        ended_.set_value(std::move(status));
      });
    });
  }
  void TearDown() override { channel_->stop(); }

  std::shared_ptr<buildkit::Channel> channel_;
  std::shared_ptr<Session> session_;  // loop
  std::promise<Status> ended_;
};

TEST_F(Silence, EndsTheSessionOfABuilderThatDoesNotAnswer) {
  QuietBuilder builder(false);
  open(builder, 50ms);
  Status status = ended_.get_future().get();
  EXPECT_EQ(status.code(), Code::kUnavailable);
  EXPECT_NE(status.message().find("nothing was heard of the builder at " + builder.address()),
            std::string::npos)
      << status.message();
  channel_->stop();
}

TEST_F(Silence, IsNoHarmWhereTheBuilderAnswers) {
  QuietBuilder builder(true);
  open(builder, 60s);
  builder.wait_until_asked(3);
  channel_->loop().post([this] { session_->cancel(); });
  EXPECT_TRUE(ended_.get_future().get().ok());
  channel_->stop();
}

// What is under way is the session's, and ends with it.
TEST_F(Silence, EndsWhileItAsks) {
  QuietBuilder builder(false);
  open(builder, 60s);
  builder.wait_until_asked(1);
  channel_->loop().post([this] { session_->cancel(); });
  EXPECT_TRUE(ended_.get_future().get().ok());
  channel_->stop();
}

}  // namespace
}  // namespace depot::session

#include <gtest/gtest.h>

#include "buildkit/channel.h"

namespace depot::buildkit {
namespace {

TEST(Address, ReadsUnixAndTcp) {
  auto unix_address = parse_address("unix:///run/buildkit/buildkitd.sock");
  ASSERT_TRUE(unix_address.ok());
  EXPECT_TRUE(unix_address->is_unix);
  EXPECT_EQ(unix_address->path, "/run/buildkit/buildkitd.sock");
  auto tcp = parse_address("tcp://build.example:1234");
  ASSERT_TRUE(tcp.ok());
  EXPECT_EQ(tcp->host, "build.example");
  EXPECT_EQ(tcp->port, "1234");
  EXPECT_FALSE(tcp->loopback());
  auto v6 = parse_address("tcp://[::1]:1234");
  ASSERT_TRUE(v6.ok());
  EXPECT_EQ(v6->host, "::1");
  EXPECT_TRUE(v6->loopback());
  EXPECT_TRUE(parse_address("tcp://127.8.9.1:1")->loopback());
}

class BadAddress : public testing::TestWithParam<std::string> {};

TEST_P(BadAddress, IsAUsageError) {
  auto address = parse_address(GetParam());
  ASSERT_FALSE(address.ok()) << GetParam();
  EXPECT_EQ(address.status().code(), base::Code::kInvalidArgument);
  EXPECT_EQ(address.status().hop(), base::Hop::kUsage);
}

INSTANTIATE_TEST_SUITE_P(
    All, BadAddress,
    testing::Values("", "localhost:1234", "http://x:1", "unix://relative", "unix://", "tcp://",
                    "tcp://host", "tcp://host:", "tcp://host:0", "tcp://host:65536",
                    "tcp://host:12a", "tcp://:1", "tcp://a b:1", "tcp://::1:80", "tcp://h/../x:1",
                    std::string("tcp://a\0b:1", 11), "unix:///" + std::string(200, 'x')));

TEST(Open, RefusesPlainTextToAFarHost) {
  Endpoint endpoint;
  endpoint.address = "tcp://build.example:1234";
  auto channel = Channel::open(endpoint);
  ASSERT_FALSE(channel.ok());
  EXPECT_EQ(channel.status().code(), base::Code::kFailedPrecondition);
  endpoint.allow_plaintext = true;
  EXPECT_TRUE(Channel::open(endpoint).ok());
}

TEST(Open, RefusesHalfAnIdentity) {
  Endpoint endpoint;
  endpoint.address = "tcp://127.0.0.1:1";
  endpoint.tls = TlsIdentity{"", "cert alone", base::Secret(), ""};
  EXPECT_FALSE(Channel::open(endpoint).ok());
  endpoint.tls = TlsIdentity{"", "", base::Secret("key alone"), ""};
  EXPECT_FALSE(Channel::open(endpoint).ok());
}

}  // namespace
}  // namespace depot::buildkit

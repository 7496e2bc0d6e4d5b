#include "machine/nodes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace depot::machine {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using Platforms = std::vector<std::string>;

// "0:linux/amd64,linux/386 1:linux/arm64"
std::string text_of(const std::vector<Share>& shares) {
  std::string out;
  for (const auto& share : shares) {
    out += (out.empty() ? "" : " ") + std::to_string(share.node) + ":";
    for (size_t i = 0; i < share.platforms.size(); ++i)
      out += (i == 0 ? "" : ",") + share.platforms[i];
  }
  return out;
}

std::string strict(const std::vector<Node>& nodes, const Platforms& platforms) {
  auto shares = assign(nodes, platforms);
  return shares ? text_of(*shares) : "none";
}
std::string somehow(const std::vector<Node>& nodes, const Platforms& platforms) {
  return text_of(assign_somehow(nodes, platforms));
}

TEST(Nodes, AreAddressesAndPlatforms) {
  auto node =
      parse_node("tcp://127.0.0.1:1,platform=aarch64,linux/arm/v7,platform=linux/arm64/v8", {});
  ASSERT_TRUE(node.ok()) << node.status().message();
  EXPECT_EQ(node->name, "tcp://127.0.0.1:1");
  EXPECT_THAT(node->platforms, ElementsAre("linux/arm64", "linux/arm/v7"));
  node = parse_node("unix:///run/a.sock", {});
  ASSERT_TRUE(node.ok());
  EXPECT_TRUE(node->platforms.empty());
  for (const char* bad : {"", "local", "tcp://a:1,linux/arm64", "tcp://a:1,os=linux",
                          "tcp://a:1,platform=", "tcp://a:1,platform=linux/arm64,name=x"}) {
    auto refused = parse_node(bad, {});
    ASSERT_FALSE(refused.ok()) << bad;
    EXPECT_EQ(refused.status().code(), base::Code::kInvalidArgument) << bad;
  }
}

TEST(Nodes, OfTheApiTakeTheirOwnPlatforms) {
  auto nodes = api_nodes();
  if (nodes[0].name != "amd64") std::swap(nodes[0], nodes[1]);
  EXPECT_EQ(strict(nodes, {"linux/amd64"}), "0:linux/amd64");
  EXPECT_EQ(strict(nodes, {"linux/arm/v7"}), "1:linux/arm/v7");
  EXPECT_EQ(strict(nodes, {"linux/arm64", "linux/amd64", "linux/arm/v6", "linux/386"}),
            "1:linux/arm64,linux/arm/v6 0:linux/amd64,linux/386")
      << "in the order they were asked for";
  EXPECT_EQ(strict(nodes, {"linux/amd64", "linux/riscv64"}), "none");
  EXPECT_EQ(strict(nodes, {}), "");
}

TEST(Nodes, TheFirstOfEqualsBuilds) {
  std::vector<Node> nodes = {{"a", {"linux/amd64"}}, {"b", {"linux/amd64", "linux/arm64"}}};
  EXPECT_EQ(strict(nodes, {"linux/amd64", "linux/arm64"}), "0:linux/amd64 1:linux/arm64");
  EXPECT_EQ(somehow(nodes, {"linux/amd64", "linux/arm64"}), "0:linux/amd64 1:linux/arm64");
}

// As containerd's platforms.Only has it.
TEST(Nodes, AlsoBuildWhatTheirPlatformsRun) {
  std::vector<Node> nodes = {{"a", {"linux/amd64/v3"}}, {"b", {"linux/arm64"}}};
  EXPECT_EQ(somehow(nodes, {"linux/386", "linux/amd64", "linux/amd64/v2"}),
            "0:linux/386,linux/amd64,linux/amd64/v2");
  EXPECT_EQ(somehow(nodes, {"linux/arm/v5", "linux/arm/v8"}), "1:linux/arm/v5,linux/arm/v8");
  EXPECT_EQ(somehow(nodes, {"linux/arm64", "linux/riscv64"}), "1:linux/arm64 0:linux/riscv64")
      << "what is left goes to the first";
  EXPECT_EQ(somehow(nodes, {"windows/amd64"}), "0:windows/amd64");
}

TEST(Nodes, TheOneThatIsNearerBuilds) {
  std::vector<Node> nodes = {{"a", {"linux/amd64"}},
                             {"b", {"linux/386"}},
                             {"c", {"linux/arm64"}},
                             {"d", {"linux/arm/v7"}},
                             {"e", {"linux/arm64/v9.2"}}};
  EXPECT_EQ(somehow(nodes, {"linux/386"}), "1:linux/386");
  EXPECT_EQ(somehow(nodes, {"linux/arm/v6"}), "3:linux/arm/v6");
  EXPECT_EQ(somehow(nodes, {"linux/arm64/v9.1"}), "4:linux/arm64/v9.1");
  EXPECT_EQ(somehow(nodes, {"linux/arm64/v8.6"}), "4:linux/arm64/v8.6");
  EXPECT_EQ(somehow(nodes, {"linux/arm64"}), "2:linux/arm64");
}

}  // namespace
}  // namespace depot::machine

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

#include "buildkit/address.h"
#include "buildkit/channel.h"

namespace depot::buildkit {
namespace {

TEST(Address, ReadsUnixAndTcp) {
  auto unix_address = parse_address("unix:///run/buildkit/buildkitd.sock");
  ASSERT_TRUE(unix_address.ok());
  EXPECT_EQ(unix_address->kind, Address::Kind::kUnix);
  EXPECT_FALSE(unix_address->dialled());
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

std::string words(const Address& address) {
  std::string out;
  for (const auto& word : address.command) out += word + "|";
  return out;
}

struct Through {
  const char* address;
  const char* command;
};
class Program : public testing::TestWithParam<Through> {};

TEST_P(Program, IsTheOneAndHasTheArgumentsOfBuildctl) {
  auto address = parse_address(GetParam().address);
  ASSERT_TRUE(address.ok()) << address.status().message();
  EXPECT_EQ(address->kind, Address::Kind::kProgram);
  EXPECT_TRUE(address->dialled());
  EXPECT_EQ(address->engine, std::string(GetParam().address).starts_with("docker://"));
  EXPECT_EQ(words(*address), GetParam().command);
}

INSTANTIATE_TEST_SUITE_P(
    All, Program,
    testing::Values(
        Through{"docker-container://bk_0.x", "docker|exec|-i|bk_0.x|buildctl|dial-stdio|"},
        Through{"docker-container://bk?context=my-ctx",
                "docker|--context=my-ctx|exec|-i|bk|buildctl|dial-stdio|"},
        Through{"podman-container://bk", "podman|exec|-i|bk|buildctl|dial-stdio|"},
        Through{"nerdctl-container://bk", "nerdctl|exec|-i|bk|buildctl|dial-stdio|"},
        Through{"nerdctl-container://bk?namespace=k8s.io",
                "nerdctl|exec|--namespace=k8s.io|-i|bk|buildctl|dial-stdio|"},
        Through{"kube-pod://pod",
                "kubectl|--context=|--namespace=|exec|--container=|-i|pod|--|buildctl|dial-stdio|"},
        Through{"kube-pod://pod?container=c&namespace=n&context=user%40cluster:1/x",
                "kubectl|--context=user@cluster:1/"
                "x|--namespace=n|exec|--container=c|-i|pod|--|buildctl|dial-stdio|"},
        Through{"ssh://host", "ssh|--|host|buildctl|dial-stdio|"},
        Through{"ssh://me@host:10022/s/o/c.sock",
                "ssh|-l|me|-p|10022|--|host|buildctl|--addr|unix:///s/o/c.sock|dial-stdio|"},
        Through{"ssh://[fe80::1%eth0]:22", "ssh|-p|22|--|fe80::1%eth0|buildctl|dial-stdio|"},
        Through{"docker://?context=there", "docker|--context=there|system|dial-stdio|"},
        Through{"docker://ssh://me@host", "ssh|-l|me|--|host|docker|system|dial-stdio|"},
        Through{"docker://ssh://host/run/d.sock",
                "ssh|--|host|docker|--host|unix:///run/d.sock|system|dial-stdio|"}));

TEST(Address, ReadsTheSocketsOfADockerEngine) {
  auto socket = parse_address("docker://unix:///var/run/docker.sock");
  ASSERT_TRUE(socket.ok());
  EXPECT_EQ(socket->path, "/var/run/docker.sock");
  EXPECT_TRUE(socket->engine && socket->dialled() && socket->loopback());
  auto tcp = parse_address("docker://tcp://docker:2375");
  ASSERT_TRUE(tcp.ok());
  EXPECT_EQ(tcp->host + " " + tcp->port, "docker 2375");
  EXPECT_TRUE(tcp->engine && tcp->dialled());
}

TEST(Address, NeverRepeatsAPassword) {
  for (const char* text : {"ssh://me:s3cret@host", "ssh://me:s3cret@host:nonsense",
                           "ssh://me:s3cret@host#x", "docker://ssh://me:s3cret@-host",
                           "docker-container://me:s3cret@x", "tcp://me:s3cret@host:1"}) {
    auto address = parse_address(text);
    ASSERT_FALSE(address.ok()) << text;
    EXPECT_EQ(address.status().message().find("s3cret"), std::string::npos) << text;
  }
}

// What `docker` stands for.
class Docker : public testing::Test {
 protected:
  using Values = std::map<std::string, std::string, std::less<>>;
  void SetUp() override {
    char name[] = "/tmp/depot-docker-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    dir_ = name;
  }
  void TearDown() override { std::filesystem::remove_all(dir_); }
  std::string resolve(Values values, const std::string& text = "docker") {
    values.emplace("DOCKER_CONFIG", dir_);
    auto address = resolve_address(text, base::Environment(std::move(values)));
    return address.ok() ? *address : "error: " + address.status().message();
  }
  void config(const std::string& text) { std::ofstream(dir_ + "/config.json") << text; }

  std::string dir_;
};

TEST_F(Docker, IsTheDefaultSocket) {
  EXPECT_EQ(resolve({}), "docker://unix:///var/run/docker.sock");
  EXPECT_EQ(resolve({}, "docker://"), "docker://unix:///var/run/docker.sock");
  EXPECT_EQ(resolve({{"DOCKER_HOST", "unix://"}}), "docker://unix:///var/run/docker.sock");
  EXPECT_EQ(resolve({}, "unix:///x"), "unix:///x");
}

TEST_F(Docker, IsWhatDockerHostSays) {
  EXPECT_EQ(resolve({{"DOCKER_HOST", "unix:///a.sock"}}), "docker://unix:///a.sock");
  EXPECT_EQ(resolve({{"DOCKER_HOST", "tcp://docker"}}), "docker://tcp://docker:2375");
  EXPECT_EQ(resolve({{"DOCKER_HOST", "docker:4"}}), "docker://tcp://docker:4");
  EXPECT_EQ(resolve({{"DOCKER_HOST", "tcp://[::1]"}}), "docker://tcp://[::1]:2375");
  EXPECT_EQ(resolve({{"DOCKER_HOST", "tcp://docker/"}, {"DOCKER_TLS_VERIFY", "1"}}),
            "docker://tcp://docker:2376");
  EXPECT_EQ(resolve({{"DOCKER_HOST", "ssh://me@host"}}), "docker://ssh://me@host");
  EXPECT_NE(resolve({{"DOCKER_HOST", "npipe:////./x"}}).find("error: DOCKER_HOST: "),
            std::string::npos);
}

TEST_F(Docker, IsTheContextInUse) {
  config(R"({"auths":{},"currentContext":"far"})");
  EXPECT_EQ(resolve({}), "docker://?context=far");
  EXPECT_EQ(resolve({{"DOCKER_CONTEXT", "near"}}), "docker://?context=near");
  EXPECT_EQ(resolve({{"DOCKER_CONTEXT", "default"}}), "docker://unix:///var/run/docker.sock");
  EXPECT_EQ(resolve({{"DOCKER_HOST", "unix:///a"}}), "docker://unix:///a") << "it comes first";
  config(R"({"currentContext":"--host=x y"})");
  EXPECT_NE(resolve({}).find("error: docker's context: "), std::string::npos) << resolve({});
  config("{");
  EXPECT_NE(resolve({}).find("is not JSON"), std::string::npos);
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
                    std::string("tcp://a\0b:1", 11), "unix:///" + std::string(200, 'x'),
                    // what a program could take for an option, or a shell for a command
                    "docker-container://", "docker-container://-it", "docker-container://a b",
                    "docker-container://a/b", "docker-container://x@y", "docker-container://a:1",
                    "docker-container://a?contex=b", "docker-container://a?context=%zz",
                    "docker-container://a?context=b%20c", "docker-container://a#b",
                    "docker-container://a?context=b&context=c", "podman-container://a?context=b",
                    "kube-pod://", "kube-pod://unsupported_name", "kube-pod://Pod", "kube-pod://-p",
                    "kube-pod://pod?namespace=a_b", "kube-pod://pod?container=a%2fb", "ssh://",
                    "ssh://-oProxyCommand=x", "ssh://a@-host", "ssh://-l@host", "ssh://@host",
                    "ssh://host?a", "ssh://host#a", "ssh://host:0",
                    "ssh://host:", "ssh://host/a;reboot", "ssh://host/$(reboot)", "ssh://host/a b",
                    "ssh://host`x`", "docker://", "docker://host", "docker://?context=",
                    "docker://?host=x", "docker://unix://relative", "docker://http://x:1",
                    "docker://ssh://-host", "docker://docker-container://x"));

TEST(Open, RefusesPlainTextToAFarHost) {
  Endpoint endpoint;
  endpoint.address = "tcp://build.example:1234";
  auto channel = Channel::open(endpoint);
  ASSERT_FALSE(channel.ok());
  EXPECT_EQ(channel.status().code(), base::Code::kFailedPrecondition);
  endpoint.allow_plaintext = true;
  EXPECT_TRUE(Channel::open(endpoint).ok());
}

TEST(Open, RefusesPlainTextToAFarEngine) {
  Endpoint endpoint;
  endpoint.address = "docker://tcp://engine.example:2375";
  auto channel = Channel::open(endpoint);
  ASSERT_FALSE(channel.ok());
  EXPECT_EQ(channel.status().code(), base::Code::kFailedPrecondition);
  EXPECT_NE(channel.status().error().hint.find("DOCKER_TLS_VERIFY"), std::string::npos);
}

TEST(Open, RefusesTlsFilesWhereNothingTakesThem) {
  Endpoint endpoint;
  endpoint.tls = TlsIdentity{"ca", "", base::Secret(), ""};
  for (const char* address : {"ssh://host", "docker://tcp://127.0.0.1:1", "unix:///x"}) {
    endpoint.address = address;
    auto channel = Channel::open(endpoint);
    ASSERT_FALSE(channel.ok()) << address;
    EXPECT_EQ(channel.status().code(), base::Code::kInvalidArgument) << address;
  }
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

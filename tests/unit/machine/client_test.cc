// The choice of a builder.
#include "machine/client.h"

#include <gtest/gtest.h>

#include <cstdlib>

namespace depot::machine {
namespace {

using base::Code;
using Variables = std::map<std::string, std::string, std::less<>>;

ClientOptions options(Variables variables = {}) {
  ClientOptions made;
  made.environment = base::Environment(std::move(variables));
  return made;
}

TEST(Choice, AutoPrefersATokenThenAnAddressThenTheLocalBuilder) {
  EXPECT_EQ((*Client::create(options()))->kind(), Client::Kind::kLocal);
  auto address = Client::create(options({{"BUILDKIT_HOST", "unix:///run/b.sock"}}));
  ASSERT_TRUE(address.ok());
  EXPECT_EQ((*address)->kind(), Client::Kind::kAddress);
  EXPECT_EQ((*address)->builder(), "unix:///run/b.sock");
  auto depot = Client::create(options({{"BUILDKIT_HOST", "unix:///b"}, {"DEPOT_TOKEN", "t"}}));
  EXPECT_EQ((*depot)->kind(), Client::Kind::kDepot);
  ClientOptions token = options();
  token.token = "t";
  token.builder = "auto";
  EXPECT_EQ((*Client::create(token))->kind(), Client::Kind::kDepot);
  EXPECT_EQ((*Client::create(options({{"BUILDKIT_HOST", ""}})))->kind(), Client::Kind::kLocal);
}

TEST(Choice, AnExplicitBuilderWins) {
  Variables everything{{"BUILDKIT_HOST", "unix:///b"}, {"DEPOT_TOKEN", "t"}};
  ClientOptions local = options(everything);
  local.builder = "local";
  EXPECT_EQ((*Client::create(local))->kind(), Client::Kind::kLocal);
  ClientOptions address = options(everything);
  address.builder = "tcp://127.0.0.1:1234";
  EXPECT_EQ((*Client::create(address))->builder(), "tcp://127.0.0.1:1234");
  ClientOptions depot = options();
  depot.builder = "depot";
  EXPECT_EQ((*Client::create(depot))->kind(), Client::Kind::kDepot);
}

TEST(Choice, ADockerEngineIsNamedOrNotUsed) {
  Variables variables{{"DOCKER_HOST", "unix:///d"}};
  EXPECT_EQ((*Client::create(options(variables)))->kind(), Client::Kind::kLocal);
  ClientOptions docker = options(variables);
  docker.builder = "docker";
  EXPECT_EQ((*Client::create(docker))->builder(), "docker://unix:///d");
  variables["BUILDKIT_HOST"] = "docker";
  EXPECT_EQ((*Client::create(options(variables)))->builder(), "docker://unix:///d");
}

TEST(Choice, RefusesWhatIsNoBuilder) {
  for (const char* text : {"cloud", "docker-container://-x", "tcp://x", "localhost:1234"}) {
    ClientOptions bad = options();
    bad.builder = text;
    auto client = Client::create(bad);
    EXPECT_EQ(client.status().code(), Code::kInvalidArgument) << text;
    EXPECT_NE(client.status().error().hint, "") << text;
  }
  EXPECT_FALSE(Client::create(options({{"BUILDKIT_HOST", "nonsense"}})).ok());
  ClientOptions half = options();
  half.tls_cert_file = "cert.pem";
  EXPECT_EQ(Client::create(half).status().code(), Code::kInvalidArgument);
  ClientOptions negative = options();
  negative.max_message = -1;
  EXPECT_FALSE(Client::create(negative).ok());
}

TEST(Http, AnEnvironmentThatIsNotToBeUsedHasNoProxies) {
  // Nobody listens at either: who fails tells which was tried.
  ASSERT_EQ(::setenv("http_proxy", "http://127.0.0.1:1", 1), 0);
  auto client = Client::create(options());
  http::Request request;
  request.url = "http://127.0.0.1:2/";
  request.version = http::Version::kHttp1;
  auto response = (*client)->http()->fetch(std::move(request), base::Cancel::never());
  ::unsetenv("http_proxy");
  ASSERT_FALSE(response.ok());
  EXPECT_EQ(response.status().hop(), base::Hop::kApi) << response.status().message();
}

TEST(Log, GoesNoFurtherThanCloseLog) {
  int lines = 0;
  ClientOptions logged = options();
  logged.log = [&](base::LogLevel, std::string_view) { ++lines; };
  auto client = Client::create(logged);
  base::log((*client)->options().log, base::LogLevel::kInfo, "one");
  (*client)->close_log();
  EXPECT_EQ(lines, 1);
  base::log((*client)->options().log, base::LogLevel::kInfo, "two");
  client = Client::create(options());
  EXPECT_EQ(lines, 1);
}

}  // namespace
}  // namespace depot::machine

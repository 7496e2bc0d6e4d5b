// Docker's config.json and its variables, and credentials from other places.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/base64.h"
#include "registry/docker_config.h"
#include "support.h"

namespace depot::registry {
namespace {

using base::Code;
using base::Environment;
using registry_test::environment_of;
using registry_test::Folder;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kHub[] = "https://index.docker.io/v1/";

DockerConfig load(const Folder& folder, std::string_view text) {
  folder.write("config.json", text);
  auto config = DockerConfig::load(folder.environment(), "");
  EXPECT_TRUE(config.ok()) << config.status().message();
  return config.ok() ? std::move(*config) : DockerConfig();
}

std::string auth(std::string_view both) {
  return "\"" + base::base64_encode(both) + "\"";
}

TEST(DockerConfig, ReadsLogins) {
  Folder folder;
  auto config = load(folder, R"({"auths":{"https://index.docker.io/v1/":{"auth":)" +
                                 auth("me:pa:ss") + R"(},"a.example:5000":{"username":"u",
      "password":"p"},"b.example":{"identitytoken":"idt","auth":)" +
                                 auth("00:x") +
                                 R"(},"c.example":{"registrytoken":"rt"},"d.example":null,
      "e.example":{"auth":"","unknown":[1]}},"HttpHeaders":{"x":"y"}})");
  auto hub = config.login(kHub)->credentials();
  EXPECT_EQ(hub.username, "me");
  EXPECT_EQ(hub.secret.reveal(), "pa:ss");
  EXPECT_EQ(config.login("a.example:5000")->credentials().secret.reveal(), "p");
  EXPECT_TRUE(config.login("a.example")->credentials().empty()) << "another port is another place";
  auto identity = config.login("b.example")->credentials();
  EXPECT_TRUE(identity.identity_token);
  EXPECT_EQ(identity.username, "");
  EXPECT_EQ(identity.secret.reveal(), "idt");
  EXPECT_EQ(config.login("c.example")->credentials().registry_token.reveal(), "rt");
  for (const char* host : {"d.example", "e.example", "f.example", ""})
    EXPECT_TRUE(config.login(host)->credentials().empty()) << host;
}

TEST(DockerConfig, FindsAHostUnderItsOldSpellings) {
  Folder folder;
  auto config = load(folder, R"({"auths":{"https://a.example/v1/":{"auth":)" + auth("u:1") +
                                 R"(},"http://b.example:5000":{"auth":)" + auth("u:2") +
                                 R"(},"c.example/v2/":{"auth":)" + auth("u:3") + "}}}");
  EXPECT_EQ(config.login("a.example")->password.reveal(), "1");
  EXPECT_EQ(config.login("b.example:5000")->password.reveal(), "2");
  EXPECT_EQ(config.login("c.example")->password.reveal(), "3");
  EXPECT_EQ(host_of_key("https://user@a.example:5000/v1/?x#y"), "a.example:5000");
  EXPECT_EQ(host_of_key("https://[::1]:5000/"), "[::1]:5000");
}

TEST(DockerConfig, AHelperOfTheHostWinsOverTheStore) {
  Folder folder;
  auto config =
      load(folder, R"({"credsStore":"store","credHelpers":{"a.example":"own","b.example":""}})");
  EXPECT_EQ(config.helper("a.example"), "own");
  EXPECT_EQ(config.helper("b.example"), "") << "an empty helper is the file";
  EXPECT_EQ(config.helper(kHub), "store");
}

TEST(DockerConfig, AnEmptyConfigUsesTheSystemsStoreIfItIsThere) {
  Folder folder, tools;
  Environment environment({{"PATH", "relative:" + tools.path()}, {"DOCKER_CONFIG", folder.path()}});
  EXPECT_EQ(DockerConfig::load(environment, "")->helper(kHub), "");
  tools.helper("secretservice", "exit 1");
  EXPECT_EQ(DockerConfig::load(environment, "")->helper(kHub), "secretservice");
  tools.write("pass", "#!/bin/sh\n");
  ::chmod(tools.path("pass").c_str(), 0755);
  EXPECT_EQ(DockerConfig::load(environment, "")->helper(kHub), "") << "pass, without its helper";
  tools.helper("pass", "exit 1");
  EXPECT_EQ(DockerConfig::load(environment, "")->helper(kHub), "pass");
  folder.write("config.json", R"({"auths":{"a.example":{}}})");
  EXPECT_EQ(DockerConfig::load(environment, "")->helper(kHub), "");
}

TEST(DockerConfig, ChoosesTheFolder) {
  EXPECT_EQ(DockerConfig::directory(environment_of({{"DOCKER_CONFIG", "/x"}}), "/home/me"), "/x");
  EXPECT_EQ(DockerConfig::directory(environment_of({{"DOCKER_CONFIG", ""}}), "/home/me"),
            "/home/me/.docker");
  EXPECT_EQ(DockerConfig::directory(Environment(), ""), "");
  Folder home;
  std::filesystem::create_directory(home.path(".docker"));
  home.write(".docker/config.json", R"({"auths":{"a.example":{"auth":)" + auth("u:p") + "}}}");
  EXPECT_EQ(DockerConfig::load(Environment(), home.path())->login("a.example")->username, "u");
}

TEST(DockerConfig, ABrokenFileIsAnErrorWithItsPlaceAndWithoutItsText) {
  for (const char* text :
       {"{\"auths\": {\"a\": {\"auth\": hunter2}}}", "[\"hunter2\"]", "{\"auths\":\"hunter2\"}",
        "{\"credHelpers\":{\"a\":[\"hunter2\"]}}", "{\"credsStore\":{\"hunter2\":1}}",
        "{\"credHelpers\":7}", "\"hunter2", "{} hunter2"}) {
    Folder folder;
    folder.write("config.json", text);
    auto config = DockerConfig::load(folder.environment(), "");
    ASSERT_FALSE(config.ok()) << text;
    EXPECT_THAT(config.status().message(), HasSubstr(folder.path("config.json")));
    EXPECT_THAT(registry_test::everything(config.status()), Not(HasSubstr("hunter2")));
    EXPECT_THAT(config.status().error().hint, HasSubstr("DOCKER_CONFIG"));
  }
}

TEST(DockerConfig, ABrokenLoginFailsAlone) {
  Folder folder;
  auto config = load(folder, R"({"auths":{"a.example":{"auth":"hunter2!"},"b.example":{"auth":)" +
                                 auth("u:p") + R"(},"c.example":{"password":7}}})");
  EXPECT_EQ(config.login("b.example")->username, "u");
  for (const char* host : {"a.example", "c.example"}) {
    auto login = config.login(host);
    ASSERT_FALSE(login.ok());
    EXPECT_THAT(login.status().message(), HasSubstr(host));
    EXPECT_THAT(login.status().message(), Not(HasSubstr("hunter2")));
  }
}

TEST(DockerConfig, MissingAndEmptyFilesAreNoConfigOthersAreErrors) {
  Folder folder;
  EXPECT_TRUE(DockerConfig::load(folder.environment(), "").ok());
  folder.write("config.json", " \n");
  EXPECT_TRUE(DockerConfig::load(folder.environment(), "").ok());
  std::filesystem::remove(folder.path("config.json"));
  std::filesystem::create_directory(folder.path("config.json"));
  EXPECT_FALSE(DockerConfig::load(folder.environment(), "").ok());
  std::filesystem::remove(folder.path("config.json"));
  ASSERT_EQ(::mkfifo(folder.path("config.json").c_str(), 0600), 0);  // nobody ever writes to it
  EXPECT_THAT(DockerConfig::load(folder.environment(), "").status().message(),
              HasSubstr("not a regular file"));
  std::filesystem::remove(folder.path("config.json"));
  folder.write("config.json", "");
  std::filesystem::resize_file(folder.path("config.json"), 5 << 20);
  EXPECT_EQ(DockerConfig::load(folder.environment(), "").status().code(), Code::kResourceExhausted);
}

TEST(DockerConfig, TheVariableIsStrict) {
  Folder folder;
  auto with = [&](const std::string& text) {
    return DockerConfig::load(folder.environment({{"DOCKER_AUTH_CONFIG", text}}), "");
  };
  auto good = with(R"({"auths":{"a.example":{"auth":)" + auth("u:p") + "}}}");
  ASSERT_TRUE(good.ok()) << good.status().message();
  EXPECT_EQ(good->from_environment("a.example")->secret.reveal(), "p");
  EXPECT_FALSE(good->from_environment("b.example"));
  EXPECT_TRUE(with("{}").ok());
  for (const std::string& text :
       {std::string("hunter2"), std::string("{} {}"), std::string(R"({"credsStore":"x"})"),
        std::string(R"({"auths":{"a":{}}})"), std::string(R"({"auths":{"a":{"auth":"hunter2"}}})"),
        R"({"auths":{"a":{"auth":)" + auth("u:hunter2") + R"(,"email":"x"}}})"}) {
    auto config = with(text);
    ASSERT_FALSE(config.ok()) << text;
    EXPECT_THAT(config.status().message(), HasSubstr("DOCKER_AUTH_CONFIG"));
    EXPECT_THAT(config.status().message(), Not(HasSubstr("hunter2")));
  }
}

TEST(Credentials, DockerHubHasOneKey) {
  for (const char* name : {"docker.io", "index.docker.io", "registry-1.docker.io"})
    EXPECT_EQ(config_key(name), kHub);
  EXPECT_EQ(config_key("registry.docker.io"), "registry.docker.io");
}

TEST(Credentials, HostsArePlain) {
  for (const char* good : {"a.example", "a.example:5000", "[::1]:5000", "localhost", "a_b"})
    EXPECT_TRUE(check_host(good).ok()) << good;
  for (const std::string& bad :
       {std::string(), std::string("https://a"), std::string("a/b"), std::string("a b"),
        std::string("a\nb"), std::string("a\0b", 3), std::string("a@b"), std::string(301, 'a')})
    EXPECT_FALSE(check_host(bad).ok()) << bad;
}

TEST(Credentials, Base64LoginsLoseTheirPadding) {
  auto padded = credentials_from_base64(base::base64_encode(std::string("u:p\0\0", 5)), "x");
  EXPECT_EQ(padded->secret.reveal(), "p");
  EXPECT_EQ(credentials_from_base64(base::base64_encode("u:"), "x")->secret.reveal(), "");
  EXPECT_FALSE(credentials_from_base64(base::base64_encode("hunter2"), "x").ok());
  EXPECT_FALSE(credentials_from_base64(base::base64_encode(":hunter2"), "x").ok());
}

TEST(Credentials, ThePushVariablesCountForTheHostsOfThePush) {
  const std::set<std::string, std::less<>> hosts{"any.example", "docker.io"};
  auto none = push_override(environment_of({{"DEPOT_PUSH_REGISTRY_USERNAME", "u"}}), hosts);
  ASSERT_TRUE(none.ok());
  EXPECT_EQ(*none, nullptr);
  auto pair = push_override(environment_of({{"DEPOT_PUSH_REGISTRY_USERNAME", "u"},
                                            {"DEPOT_PUSH_REGISTRY_PASSWORD", "p"},
                                            {"DEPOT_PUSH_REGISTRY_AUTH", "broken"}}),
                            hosts);
  ASSERT_TRUE(pair.ok());
  EXPECT_EQ((*(*pair)->find("any.example", base::Cancel::never()))->secret.reveal(), "p");
  EXPECT_EQ((*(*pair)->find("registry-1.docker.io", base::Cancel::never()))->secret.reveal(), "p");
  EXPECT_FALSE((*(*pair)->find("other.example", base::Cancel::never())).has_value());
  auto both = push_override(
      environment_of({{"DEPOT_PUSH_REGISTRY_AUTH", base::base64_encode("v:q")}}), hosts);
  EXPECT_EQ((*(*both)->find("any.example", base::Cancel::never()))->username, "v");
  auto broken = push_override(environment_of({{"DEPOT_PUSH_REGISTRY_AUTH", "hunter2"}}), hosts);
  ASSERT_FALSE(broken.ok());
  EXPECT_THAT(broken.status().message(), Not(HasSubstr("hunter2")));
}

}  // namespace
}  // namespace depot::registry

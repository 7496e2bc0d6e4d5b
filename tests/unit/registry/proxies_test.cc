#include "registry/proxies.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace depot::registry {
namespace {

namespace fs = std::filesystem;
using Proxies = std::map<std::string, std::string>;

class ProxiesTest : public testing::Test {
 protected:
  ProxiesTest() {
    std::string name = testing::TempDir() + "proxiesXXXXXX";
    home = ::mkdtemp(name.data());
    fs::create_directory(home / ".docker");
  }
  ~ProxiesTest() override { fs::remove_all(home); }

  base::Result<Proxies> read(const std::string& config, const std::string& host = "") {
    std::ofstream(home / ".docker/config.json") << config;
    base::Environment environment(
        host.empty() ? std::map<std::string, std::string, std::less<>>()
                     : std::map<std::string, std::string, std::less<>>{{"DOCKER_HOST", host}});
    return docker_proxies(environment, home.string());
  }

  fs::path home;
};

constexpr char kConfig[] = R"({"proxies": {
  "default": {"httpProxy": "http://a", "httpsProxy": "http://b", "noProxy": "c", "ftpProxy": "d", "allProxy": "e"},
  "tcp://engine:2375": {"httpProxy": "http://other", "noProxy": 17}}})";

TEST_F(ProxiesTest, OfTheDefaultAndOfAnEngine) {
  EXPECT_EQ(*read(kConfig), Proxies({{"HTTP_PROXY", "http://a"},
                                     {"HTTPS_PROXY", "http://b"},
                                     {"NO_PROXY", "c"},
                                     {"FTP_PROXY", "d"}}));
  EXPECT_EQ(*read(kConfig, "tcp://engine:2375"), Proxies({{"HTTP_PROXY", "http://other"}}));
  EXPECT_EQ(read(kConfig, "tcp://another:2375")->size(), 4u);
}

TEST_F(ProxiesTest, OfAFileWithoutThem) {
  for (const char* config :
       {"", "{}", "[]", R"({"proxies": null})", R"({"proxies": 5})",
        R"({"proxies": {"default": 5}})", R"({"proxies": {"other": {"httpProxy": "x"}}})",
        R"({"proxies": {"default": {"httpProxy": ""}}})"}) {
    auto proxies = read(config);
    ASSERT_TRUE(proxies.ok()) << config;
    EXPECT_TRUE(proxies->empty()) << config;
  }
  fs::remove(home / ".docker/config.json");
  EXPECT_TRUE(docker_proxies(base::Environment(), home.string())->empty());
  EXPECT_TRUE(docker_proxies(base::Environment(), "")->empty());
}

TEST_F(ProxiesTest, OfAFileThatIsBrokenNameIt) {
  auto proxies = read(R"({"proxies": {"default": {"httpProxy": "http://user:secret@host")");
  ASSERT_FALSE(proxies.ok());
  EXPECT_NE(proxies.status().message().find("config.json"), std::string::npos);
  EXPECT_EQ(proxies.status().message().find("secret"), std::string::npos);
}

}  // namespace
}  // namespace depot::registry

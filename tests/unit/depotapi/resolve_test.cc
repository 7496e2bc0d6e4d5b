// Token, project and address from options, variables and files, in their order.
#include "depotapi/resolve.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>

#include "unit/http/standin.h"

namespace depot::depotapi {
namespace {

using base::Code;
using base::Environment;
using base::Hop;
using testing::HasSubstr;
using testing::Not;
using Variables = std::map<std::string, std::string, std::less<>>;

class Resolve : public testing::Test {
 protected:
  std::string token(Variables variables, const std::string& option = "") {
    auto resolved = resolve(std::move(variables), option);
    return resolved.ok() ? std::string(resolved->reveal()) : "error";
  }

  base::Result<base::Secret> resolve(Variables variables, const std::string& option = "") {
    variables.emplace("HOME", home_.path());
    ResolveOptions options;
    options.token = option;
    options.environment = Environment(variables);
    auto resolved = resolve_token(options, {});
    EXPECT_EQ(has_token(option, options.environment), resolved.ok());
    return resolved;
  }

  base::Result<std::string> project(const std::string& folder, Variables variables = {},
                                    const std::string& option = "") {
    ResolveOptions options;
    options.project = option;
    options.context_dir = folder;
    options.environment = Environment(std::move(variables));
    return resolve_project(options);
  }

  test::TempFolder home_;
};

TEST_F(Resolve, TokenOrder) {
  home_.write(".config/depot/depot.yaml", "api_token: from-login\norg_id: o\n");
  Variables all{{"DEPOT_TOKEN", " from-variable\n"},
                {"DEPOT_API_TOKEN", "from-api-variable"},
                {"GITLAB_CI", "true"},
                {"DEPOT_OIDC_TOKEN", "from-gitlab"},
                {"CIRCLE_OIDC_TOKEN_V2", "from-circle"},
                {"DEPOT_JIT_TOKEN", "from-jit"},
                {"DEPOT_CACHE_TOKEN", "from-cache"}};
  EXPECT_EQ(token(all, "from-option"), "from-option");
  for (auto [name, value] :
       {std::pair("DEPOT_TOKEN", "from-variable"), {"DEPOT_API_TOKEN", "from-api-variable"}}) {
    EXPECT_EQ(token(all), value);
    all[name] = "";
  }
  EXPECT_EQ(token(all), "from-login");
  home_.write(".config/depot/depot.yaml", "");
  for (auto [name, value] : {std::pair("DEPOT_OIDC_TOKEN", "from-gitlab"),
                             {"CIRCLE_OIDC_TOKEN_V2", "from-circle"},
                             {"DEPOT_JIT_TOKEN", "from-jit"},
                             {"DEPOT_CACHE_TOKEN", "from-cache"}}) {
    EXPECT_EQ(token(all), value);
    all.erase(name);
  }
  EXPECT_EQ(token(all), "error");
}

TEST_F(Resolve, XdgConfigHome) {
  home_.write("xdg/depot/depot.yaml", "api_token: \"x\"\n");
  EXPECT_EQ(token({{"XDG_CONFIG_HOME", home_.path() + "/xdg"}}), "x");
}

TEST_F(Resolve, NoTokenListsWhatWasTriedAndHow) {
  auto none = resolve({});
  EXPECT_EQ(none.status().code(), Code::kUnauthenticated);
  EXPECT_EQ(none.status().hop(), Hop::kApi);
  for (const char* part :
       {"DEPOT_TOKEN", "depot.yaml", "OIDC", "DEPOT_JIT_TOKEN", "DEPOT_CACHE_TOKEN"})
    EXPECT_THAT(none.status().message(), HasSubstr(part));
  EXPECT_THAT(none.status().error().hint, HasSubstr("DEPOT_TOKEN"));
}

TEST_F(Resolve, ALoginFileThatCannotBeReadIsNamedAndPassedOver) {
  std::string deep(5000, '[');
  for (const std::string& text :
       {std::string("api_token: [s3cr3t"), std::string("- s3cr3t"),
        std::string("api_token: {a: s3cr3t}"), deep, std::string("api_token: s3cr3t\n\tx: :"),
        std::string(2 << 20, 'x')}) {
    home_.write(".config/depot/depot.yaml", text);
    auto none = resolve({});
    EXPECT_EQ(none.status().code(), Code::kUnauthenticated) << text.substr(0, 30);
    EXPECT_THAT(none.status().message(), HasSubstr("stored login: "));
    EXPECT_THAT(none.status().message(), Not(HasSubstr("s3cr3t")));
    EXPECT_EQ(token({{"DEPOT_JIT_TOKEN", "jit"}}), "jit");
  }
}

TEST_F(Resolve, ProvidersThatNeedARequestArePassedOverWithoutAClient) {
  ResolveOptions options;
  options.environment =
      Environment(Variables{{"ACTIONS_ID_TOKEN_REQUEST_URL", "http://127.0.0.1:1/"},
                            {"ACTIONS_ID_TOKEN_REQUEST_TOKEN", "t"}});
  EXPECT_TRUE(has_token("", options.environment));
  auto none = resolve_token(options, {});
  EXPECT_EQ(none.status().code(), Code::kUnauthenticated);
  EXPECT_THAT(none.status().message(), HasSubstr("GitHub Actions"));
}

TEST_F(Resolve, ProjectOrderAndTheWayUp) {
  home_.write("a/depot.json", R"({"id": "from-json"})");
  home_.write("a/depot.yml", "id: from-yml");
  home_.write("a/b/c/file", "");
  home_.write("a/b/depot.yaml", "# a comment\nid: 'from-yaml'\n");
  std::string deep = home_.path() + "/a/b/c";
  EXPECT_EQ(*project(deep, {{"DEPOT_PROJECT_ID", "variable"}}, " option "), "option");
  EXPECT_EQ(*project(deep, {{"DEPOT_PROJECT_ID", "variable"}}), "variable");
  EXPECT_EQ(*project(deep), "from-yaml");
  EXPECT_EQ(*project(deep + "/"), "from-yaml");
  EXPECT_EQ(*project(home_.path() + "/a"), "from-json");
}

TEST_F(Resolve, ProjectFilesThatSayNothingOrNonsense) {
  home_.write("none/depot.json", "{}");
  EXPECT_EQ(*project(home_.path() + "/none"), "");
  home_.write("number/depot.yml", "id: 123");
  EXPECT_EQ(*project(home_.path() + "/number"), "123");
  for (const char* nothing :
       {"", "# c\n", "~", "{}", "id:", "id: ~", "id: null", "id: ''", "other: {id: x}"}) {
    home_.write("nothing/depot.yml", nothing);
    EXPECT_EQ(*project(home_.path() + "/nothing"), "") << nothing;
  }
  home_.write("quoted/depot.yml", "a: &a [1, *a]\nid: \"null\"\nid: second\n");
  EXPECT_EQ(*project(home_.path() + "/quoted"), "null");
  home_.write("bad/depot.json", "{\"id\": ");
  auto bad = project(home_.path() + "/bad");
  EXPECT_EQ(bad.status().code(), Code::kInvalidArgument);
  EXPECT_EQ(bad.status().hop(), Hop::kLocal);
  EXPECT_THAT(bad.status().message(), HasSubstr("/bad/depot.json"));
  home_.write("bad/depot.json", "id: a\nx: [\ny: b: c\n");
  EXPECT_THAT(project(home_.path() + "/bad").status().message(), HasSubstr("(line 3)"));
  // A folder of the name, or a FIFO, is no file.
  home_.write("odd/depot.json/x", "");
  ASSERT_EQ(mkfifo((home_.path() + "/odd/depot.yml").c_str(), 0600), 0);
  home_.write("odd/depot.yaml", "id: odd");
  EXPECT_EQ(*project(home_.path() + "/odd"), "odd");
}

TEST_F(Resolve, ApiUrl) {
  auto url = [](const std::string& option, Variables variables = {}) {
    return resolve_api_url(option, Environment(std::move(variables)));
  };
  EXPECT_EQ(*url(""), "https://api.depot.dev");
  EXPECT_EQ(*url("", {{"DEPOT_API_URL", "http://h:1//"}}), "http://h:1");
  EXPECT_EQ(*url("https://x/base/", {{"DEPOT_API_URL", "http://h:1"}}), "https://x/base");
  for (const char* bad :
       {"api.depot.dev", "ftp://x", "https://", "https:///x", "https://u:s3cr3t@x",
        "https://x?token=s3cr3t", "https://x#y", "https://x\ny", "HTTPS"}) {
    auto refused = url(bad);
    EXPECT_EQ(refused.status().code(), Code::kInvalidArgument) << bad;
    EXPECT_EQ(refused.status().hop(), Hop::kUsage);
    EXPECT_THAT(refused.status().message(), Not(HasSubstr("s3cr3t")));
  }
  EXPECT_THAT(url("", {{"DEPOT_API_URL", "x"}}).status().message(), HasSubstr("DEPOT_API_URL"));
}

TEST_F(Resolve, UserAgent) {
  auto agent = [](const std::string& product, Variables variables) {
    return user_agent(product, Environment(std::move(variables)));
  };
  EXPECT_THAT(agent("", {}), testing::MatchesRegex("libdepot/[0-9.]+/linux/[a-z0-9]+/terminal"));
  for (const char* mark : {"CI", "GITHUB_ACTIONS", "BUILDKITE"})
    EXPECT_THAT(agent("", {{mark, "true"}}), testing::EndsWith("/ci"));
  EXPECT_THAT(agent("", {{"CI", "false"}}), testing::EndsWith("/terminal"));
  EXPECT_THAT(agent(" app/2\r\nX: y ", {}), testing::EndsWith("/terminal app/2  X: y"));
}

}  // namespace
}  // namespace depot::depotapi

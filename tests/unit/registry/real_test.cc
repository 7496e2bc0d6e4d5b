// The whole way against Debian's docker-registry: with htpasswd, and with a token server whose
// tokens the registry itself checks.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "base/base64.h"
#include "http/client.h"
#include "part.h"
#include "registry/auth.h"
#include "support.h"

namespace depot::registry {
namespace {

using base::Cancel;
using base::Code;
using base::Result;
using registry_test::Answer;
using registry_test::environment_of;
using registry_test::everything;
using registry_test::Folder;
using registry_test::Lines;
using registry_test::Part;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

class RealRegistry : public ::testing::Test {
 protected:
  void TearDown() override { EXPECT_THAT(lines.all(), Not(HasSubstr("sesame"))); }

  std::shared_ptr<Auth> auth_from(const base::Environment& environment) {
    AuthOptions out;
    out.environment = environment;
    out.log = lines.sink();
    out.http = [client = client] { return client; };
    return Auth::create(std::move(out));
  }
  // GET of a path of the registry.
  http::Response get(const std::string& host, const std::string& path, std::string authorization) {
    http::Request request;
    request.url = "http://" + host + path;
    request.version = http::Version::kHttp1;
    request.authorization = base::Secret::take(std::move(authorization));
    auto response = client->fetch(std::move(request), Cancel::never());
    EXPECT_TRUE(response.ok()) << response.status().message();
    return response.ok() ? std::move(*response) : http::Response();
  }
  // One field of `WWW-Authenticate: Bearer realm="...",service="..."`.
  static std::string challenge(const http::Response& response, const std::string& field) {
    std::string header = response.header("www-authenticate");
    size_t at = header.find(field + "=\"");
    if (at == std::string::npos) return "";
    at += field.size() + 2;
    return header.substr(at, header.find('"', at) - at);
  }
  static Result<Token> fetch(Auth& auth, const TokenRequest& request) {
    Answer<Token> answer;
    auth.fetch_token(request, Cancel::never(), answer.done());
    return answer.get();
  }
  static Result<Credentials> login(Auth& auth, const std::string& host) {
    Answer<Credentials> answer;
    auth.credentials(host, Cancel::never(), answer.done());
    return answer.get();
  }

  Lines lines;
  Folder folder;
  std::shared_ptr<http::Client> client = http::Client::create({});
};

TEST_F(RealRegistry, HtpasswdTakesWhatTheConfigAndTheHelperSay) {
  Part part({"registry", "--auth", "htpasswd"});
  const auto& info = part.info["registry"];
  std::string host = info["host"];
  EXPECT_EQ(get(host, "/v2/", "").status, 401);
  auto from_file = auth_from(environment_of({{"DOCKER_CONFIG", info["docker_config"]}}));
  folder.write("answer", R"({"Username":")" + std::string(info["user"]) + R"(","Secret":")" +
                             std::string(info["password"]) + "\"}");
  folder.helper("test", "test \"$(cat)\" = '" + host + "' && cat \"$here/answer\"");
  folder.write("config.json", R"({"credHelpers":{")" + host + R"(":"test"}})");
  auto from_helper = auth_from(folder.environment());
  for (const auto& auth : {from_file, from_helper}) {
    auto found = login(*auth, host);
    ASSERT_TRUE(found.ok()) << found.status().message();
    std::string both = found->username + ":" + std::string(found->secret.reveal());
    EXPECT_EQ(get(host, "/v2/", "Basic " + base::base64_encode(both)).status, 200);
  }
}

TEST_F(RealRegistry, ItsTokenServerGivesTokensThatItTakes) {
  Part part({"registry", "--auth", "token"});
  const auto& info = part.info["registry"];
  std::string host = info["host"];
  auto refused = get(host, "/v2/app/tags/list", "");
  ASSERT_EQ(refused.status, 401);
  TokenRequest request{host,
                       challenge(refused, "realm"),
                       challenge(refused, "service"),
                       {challenge(refused, "scope")}};
  EXPECT_EQ(request.scopes[0], "repository:app:pull");
  auto auth = auth_from(environment_of({{"DOCKER_CONFIG", info["docker_config"]}}));
  auto token = fetch(*auth, request);
  ASSERT_TRUE(token.ok()) << token.status().message();
  EXPECT_EQ(token->expires_in, 300);
  EXPECT_GT(token->issued_at, 0);
  // 404: let in, and there is no such repository.
  std::string bearer = "Bearer " + std::string(token->token.reveal());
  EXPECT_EQ(get(host, "/v2/app/tags/list", bearer).status, 404);
  EXPECT_EQ(get(host, "/v2/other/tags/list", bearer).status, 401);

  auto nobody = auth_from(folder.environment());
  auto anonymous = fetch(*nobody, request);
  ASSERT_TRUE(anonymous.ok()) << anonymous.status().message();
  EXPECT_EQ(
      get(host, "/v2/app/tags/list", "Bearer " + std::string(anonymous->token.reveal())).status,
      404);
}

TEST_F(RealRegistry, AWrongPasswordIsRefusedWithTheReason) {
  Part part({"registry", "--auth", "token"});
  const auto& info = part.info["registry"];
  std::string host = info["host"], realm = info["realm"];
  folder.write("config.json", R"({"auths":{")" + host + R"(":{"auth":")" +
                                  base::base64_encode("robot:wrong sesame") + "\"}}}");
  auto auth = auth_from(folder.environment());
  auto token = fetch(*auth, {host, realm, info["service"], {"repository:app:pull"}});
  ASSERT_FALSE(token.ok());
  EXPECT_EQ(token.status().code(), Code::kUnauthenticated);
  EXPECT_THAT(token.status().message(),
              AllOf(HasSubstr(host), HasSubstr("UNAUTHORIZED: wrong user or password")));
  EXPECT_THAT(token.status().error().hint, HasSubstr("docker login " + host));
  EXPECT_THAT(everything(token.status()), Not(HasSubstr("sesame")));
}

TEST_F(RealRegistry, AnIdentityTokenGetsOneToo) {
  Part part({"registry", "--auth", "token"});
  const auto& info = part.info["registry"];
  std::string host = info["host"];
  folder.write("config.json", R"({"auths":{")" + host + R"(":{"identitytoken":")" +
                                  std::string(info["password"]) + "\"}}}");
  auto auth = auth_from(folder.environment());
  auto token = fetch(*auth, {host, info["realm"], info["service"], {"repository:app:pull,push"}});
  ASSERT_TRUE(token.ok()) << token.status().message();
  EXPECT_EQ(get(host, "/v2/app/tags/list", "Bearer " + std::string(token->token.reveal())).status,
            404);
}

}  // namespace
}  // namespace depot::registry

// Token fetch against a server on loopback that does what real ones only do on bad days.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "base/base64.h"
#include "registry/auth.h"
#include "support.h"

namespace depot::registry {
namespace {

using base::Cancel;
using base::Code;
using base::Hop;
using base::Result;
using base::Status;
using registry_test::Answer;
using registry_test::everything;
using registry_test::Folder;
using registry_test::Gate;
using registry_test::Lines;
using registry_test::Server;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kSecret[] = "hunter2 & more";
constexpr char kHost[] = "localhost:5000";

class TokenTest : public ::testing::Test {
 protected:
  void TearDown() override { EXPECT_THAT(lines.all(), Not(HasSubstr("hunter2"))); }

  AuthOptions options(const std::string& username = "me", std::string_view secret = kSecret) {
    AuthOptions out;
    out.environment = folder.environment();
    out.log = lines.sink();
    out.retry_delay = std::chrono::milliseconds(1);
    out.http = [] {
      http::Options http;
      http.user_agent = "registry-test";
      return http::Client::create(std::move(http));
    };
    if (!secret.empty()) {
      Credentials login;
      login.username = username;
      login.secret = base::Secret(secret);
      login.identity_token = username.empty();
      out.fixed[kHost] = login;
    }
    out.on_shared = [this](const std::string& host, const std::string& realm) {
      std::lock_guard guard(mutex);
      shared.push_back(host + "|" + realm);
    };
    return out;
  }
  static TokenRequest request(const std::string& realm) {
    return {kHost, realm, "registry.test", {"repository:a/b:pull", "repository:c:pull,push"}};
  }
  static Result<Token> fetch(Auth& auth, TokenRequest request) {
    Answer<Token> answer;
    auth.fetch_token(std::move(request), Cancel::never(), answer.done());
    return answer.get();
  }
  static Result<Token> fetch(const AuthOptions& o, TokenRequest request) {
    return fetch(*Auth::create(o), std::move(request));
  }

  Folder folder;
  Lines lines;
  std::mutex mutex;
  std::vector<std::string> shared;
};

TEST_F(TokenTest, PostsTheLoginAsAForm) {
  Server server([](const Server::Request&) {
    return Server::answer(
        200, R"({"access_token":"t","expires_in":300,"issued_at":"2009-02-13T23:31:30Z"})");
  });
  auto token = fetch(options(), request(server.realm() + "?keep=this"));
  ASSERT_TRUE(token.ok()) << token.status().message();
  EXPECT_EQ(token->token.reveal(), "t");
  EXPECT_EQ(token->expires_in, 300);
  EXPECT_EQ(token->issued_at, 1234567890);
  auto sent = server.requests();
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_EQ(sent[0].method, "POST");
  EXPECT_EQ(sent[0].target, "/token?keep=this") << "unchanged, and nothing of the login in it";
  EXPECT_EQ(sent[0].headers["content-type"], "application/x-www-form-urlencoded; charset=utf-8");
  EXPECT_EQ(sent[0].headers["user-agent"], "registry-test");
  EXPECT_EQ(sent[0].headers.count("authorization"), 0U);
  EXPECT_EQ(sent[0].body,
            "client_id=buildkit-client&grant_type=password&password=hunter2+%26+more&"
            "scope=repository%3Aa%2Fb%3Apull+repository%3Ac%3Apull%2Cpush&service=registry.test&"
            "username=me");
  EXPECT_THAT(shared, ElementsAre("localhost:5000|" + server.host()));
}

TEST_F(TokenTest, AnIdentityTokenIsARefreshToken) {
  Server server(
      [](const Server::Request&) { return Server::answer(200, R"({"access_token":"t"})"); });
  TokenRequest asked = request(server.realm());
  asked.scopes.clear();
  asked.service.clear();
  ASSERT_TRUE(fetch(options("", "identity"), asked).ok());
  EXPECT_EQ(server.requests()[0].body,
            "client_id=buildkit-client&grant_type=refresh_token&refresh_token=identity&service=");
}

TEST_F(TokenTest, FallsBackToGetWithBasic) {
  for (int status : {401, 404, 405}) {
    Server server([&](const Server::Request& got) {
      return got.method == "POST" ? Server::answer(status, "{}")
                                  : Server::answer(200, R"({"token":"t"})");
    });
    auto token = fetch(options(), request(server.realm() + "?z=1&account=x"));
    ASSERT_TRUE(token.ok()) << token.status().message();
    EXPECT_EQ(token->expires_in, 60);
    auto sent = server.requests();
    ASSERT_EQ(sent.size(), 2U);
    EXPECT_EQ(sent[1].method, "GET");
    EXPECT_EQ(sent[1].target,
              "/token?account=x&scope=repository%3Aa%2Fb%3Apull&scope=repository%3Ac%3Apull%2Cpush&"
              "service=registry.test&z=1");
    EXPECT_EQ(sent[1].headers["authorization"],
              "Basic " + base::base64_encode("me:" + std::string(kSecret)));
  }
}

TEST_F(TokenTest, AnIdentityTokenDoesNotFallBackOn405) {
  Server server([](const Server::Request&) { return Server::answer(405, "{}"); });
  EXPECT_FALSE(fetch(options("", "identity"), request(server.realm())).ok());
  EXPECT_EQ(server.requests().size(), 1U);
}

TEST_F(TokenTest, WithoutALoginItAsksAnonymously) {
  Server server([](const Server::Request&) { return Server::answer(200, R"({"token":"t"})"); });
  ASSERT_TRUE(fetch(options("", ""), request(server.realm())).ok());
  auto sent = server.requests();
  ASSERT_EQ(sent.size(), 1U);
  EXPECT_EQ(sent[0].method, "GET");
  EXPECT_EQ(sent[0].headers.count("authorization"), 0U);
  EXPECT_THAT(shared, ElementsAre());
}

TEST_F(TokenTest, AReadyTokenNeedsNoServer) {
  AuthOptions o = options();
  o.fixed[kHost].registry_token = base::Secret("ready");
  auto token = fetch(o, request("https://nowhere.invalid/"));
  ASSERT_TRUE(token.ok());
  EXPECT_EQ(token->token.reveal(), "ready");
  EXPECT_EQ(token->expires_in, 60);
  EXPECT_EQ(token->issued_at, 0);
  EXPECT_THAT(shared, ElementsAre("localhost:5000|"));
}

TEST_F(TokenTest, TriesAgainWhatMayPass) {
  for (int status : {429, 500, 502, 503, 504}) {
    std::atomic<int> count{0};
    Server server([&](const Server::Request&) {
      return count++ < 3 ? Server::answer(status, "busy")
                         : Server::answer(200, R"({"access_token":"t"})");
    });
    auto token = fetch(options(), request(server.realm()));
    EXPECT_TRUE(token.ok()) << status << token.status().message();
    EXPECT_EQ(server.requests().size(), 4U);
  }
}

TEST_F(TokenTest, AndGivesUpAfterThree) {
  Server server([](const Server::Request&) { return Server::answer(503, "busy"); });
  auto token = fetch(options(), request(server.realm()));
  ASSERT_FALSE(token.ok());
  EXPECT_EQ(token.status().code(), Code::kUnavailable);
  EXPECT_TRUE(token.status().error().retryable);
  EXPECT_THAT(token.status().message(),
              AllOf(HasSubstr(kHost), HasSubstr(server.host()), HasSubstr("HTTP status 503")));
  EXPECT_EQ(server.requests().size(), 4U);
}

TEST_F(TokenTest, AServerThatIsNotThereIsNamed) {
  std::string realm, host;
  {
    Server server([](const Server::Request&) { return ""; });
    realm = server.realm();
    host = server.host();
  }
  auto token = fetch(options(), request(realm));
  ASSERT_FALSE(token.ok());
  EXPECT_EQ(token.status().code(), Code::kUnavailable);
  EXPECT_EQ(token.status().hop(), Hop::kRegistry);
  EXPECT_THAT(token.status().message(), AllOf(HasSubstr(kHost), HasSubstr(host)));
}

TEST_F(TokenTest, RefusalsSayWhoWhyAndWhatToDo) {
  struct {
    int status;
    Code code;
    const char* hint;
  } refusals[] = {{401, Code::kUnauthenticated, "docker login localhost:5000"},
                  {403, Code::kPermissionDenied, "lack rights"},
                  {404, Code::kNotFound, ""},
                  {418, Code::kUnknown, ""}};
  for (const auto& refusal : refusals) {
    Server server([&](const Server::Request&) {
      return Server::answer(refusal.status,
                            R"({"errors":[{"code":"DENIED","message":"not hunter2 & more, )" +
                                base::base64_encode("me:" + std::string(kSecret)) + R"("}]})");
    });
    auto token = fetch(options(), request(server.realm()));
    ASSERT_FALSE(token.ok());
    EXPECT_EQ(token.status().code(), refusal.code);
    EXPECT_EQ(token.status().hop(), Hop::kRegistry);
    EXPECT_THAT(token.status().message(), AllOf(HasSubstr(kHost), HasSubstr(server.host()),
                                                HasSubstr("DENIED: not ***, ***")));
    EXPECT_THAT(token.status().error().hint, HasSubstr(refusal.hint));
    EXPECT_THAT(everything(token.status()), Not(HasSubstr("hunter2")));
  }
}

TEST_F(TokenTest, RedirectsAreNotFollowed) {
  Server thief([](const Server::Request&) { return Server::answer(200, R"({"token":"x"})"); });
  for (bool anonymous : {false, true}) {
    Server server([&](const Server::Request&) {
      return Server::answer(307, "", "Location: " + thief.realm() + "\r\n");
    });
    auto token = fetch(anonymous ? options("", "") : options(), request(server.realm()));
    ASSERT_FALSE(token.ok());
    EXPECT_THAT(token.status().message(), HasSubstr("not followed"));
  }
  EXPECT_TRUE(thief.requests().empty());
}

TEST_F(TokenTest, NonsenseIsDataLoss) {
  std::string deep(200000, '[');
  for (const std::string& body :
       {std::string("hunter2"), std::string("{}"), std::string(R"({"access_token":"hunter2\n"})"),
        deep, std::string(R"({"access_token":{"hunter2":1}})")}) {
    Server server([&](const Server::Request&) { return Server::answer(200, body); });
    auto token = fetch(options(), request(server.realm()));
    ASSERT_FALSE(token.ok());
    EXPECT_EQ(token.status().code(), Code::kDataLoss);
    EXPECT_THAT(everything(token.status()), Not(HasSubstr("hunter2")));
    EXPECT_THAT(token.status().message(), AllOf(HasSubstr(kHost), HasSubstr(server.host())));
  }
}

TEST_F(TokenTest, AnAnswerWithoutEndIsCut) {
  std::string much(3 << 20, 'x');
  Server server([&](const Server::Request&) { return Server::answer(200, much); });
  auto token = fetch(options(), request(server.realm()));
  ASSERT_FALSE(token.ok());
  EXPECT_EQ(token.status().code(), Code::kResourceExhausted);
}

TEST_F(TokenTest, StrangersGetNothing) {
  Server thief([](const Server::Request&) { return Server::answer(200, R"({"token":"x"})"); });
  AuthOptions o = options();
  o.fixed["registry.example.com"] = o.fixed[kHost];
  for (const std::string& realm :
       {thief.realm(), "https://" + thief.host() + "/", std::string("https://evil.example.org/"),
        std::string("http://registry.example.com/"),
        "http://registry.example.com@" + thief.host()}) {
    TokenRequest asked = request(realm);
    asked.host = "registry.example.com";
    auto token = fetch(o, asked);
    ASSERT_FALSE(token.ok()) << realm;
    EXPECT_THAT(everything(token.status()), HasSubstr("registry.example.com"));
    EXPECT_THAT(everything(token.status()), Not(HasSubstr("hunter2")));
  }
  EXPECT_TRUE(thief.requests().empty());
  EXPECT_THAT(shared, ElementsAre());
}

TEST_F(TokenTest, APersonIsAskedOnceForEachPair) {
  AuthOptions o = options();
  o.fixed["registry.example.com"] = o.fixed[kHost];
  std::atomic<int> asked{0};
  o.consent = [&](const std::string& host, const std::string& realm, const Cancel&) {
    EXPECT_EQ(host, "registry.example.com");
    EXPECT_EQ(realm, "login.invalid:444");
    ++asked;
    return false;
  };
  auto auth = Auth::create(o);
  std::vector<Answer<Token>> answers(6);
  for (size_t i = 0; i < answers.size(); ++i) {
    TokenRequest one = request("https://login.invalid:444/token");
    one.host = "registry.example.com";
    one.scopes = {"repository:" + std::to_string(i) + ":pull"};
    auth->fetch_token(one, Cancel::never(), answers[i].done());
  }
  for (auto& answer : answers) EXPECT_EQ(answer.get().status().code(), Code::kPermissionDenied);
  EXPECT_EQ(asked, 1);
}

TEST_F(TokenTest, TheSameTokenIsFetchedOnceForAllWhoWait) {
  Gate gate;
  Server server([&](const Server::Request&) {
    gate.wait();
    return Server::answer(200, R"({"access_token":"t"})");
  });
  auto auth = Auth::create(options());
  std::vector<Answer<Token>> answers(64);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (size_t i = static_cast<size_t>(t); i < answers.size(); i += 4)
        auth->fetch_token(request(server.realm()), Cancel::never(), answers[i].done());
    });
  }
  for (auto& thread : threads) thread.join();
  Answer<Token> other;
  TokenRequest elsewhere = request(server.realm());
  elsewhere.scopes = {"repository:other:pull"};
  auth->fetch_token(elsewhere, Cancel::never(), other.done());
  EXPECT_TRUE(server.wait_for(2));
  gate.open();
  for (auto& answer : answers) EXPECT_EQ(answer.get()->token.reveal(), "t");
  EXPECT_TRUE(other.get().ok());
  EXPECT_EQ(server.requests().size(), 2U);
  EXPECT_EQ(shared.size(), 1U);
}

TEST_F(TokenTest, CancelLeavesAServerThatHangs) {
  Server server([](const Server::Request&) { return ""; });
  auto auth = Auth::create(options());
  Cancel cancel;
  Answer<Token> answer;
  auth->fetch_token(request(server.realm()), cancel, answer.done());
  EXPECT_TRUE(server.wait_for(1));
  EXPECT_FALSE(answer.come());
  cancel.trigger();
  EXPECT_EQ(answer.get().status().code(), Code::kCancelled);
}

TEST_F(TokenTest, DestroyingItLeavesAServerThatHangsAndAWaitForAnotherTry) {
  for (bool hangs : {true, false}) {
    Server server([&](const Server::Request&) { return hangs ? "" : Server::answer(503, ""); });
    AuthOptions o = options();
    o.retry_delay = std::chrono::seconds(10);
    auto client = http::Client::create({});
    o.http = [client] { return client; };
    auto pool = std::make_shared<base::Pool>(2);
    o.pool = pool;
    auto auth = Auth::create(std::move(o));
    Answer<Token> answer;
    auth->fetch_token(request(server.realm()), Cancel::never(), answer.done());
    EXPECT_TRUE(server.wait_for(1));
    auth.reset();
    EXPECT_EQ(answer.get().status().code(), Code::kCancelled);
  }
}

TEST_F(TokenTest, TheClientIsMadeWithTheFirstTokenAndOnce) {
  std::atomic<int> made{0};
  Server server(
      [](const Server::Request&) { return Server::answer(200, R"({"access_token":"t"})"); });
  AuthOptions o = options();
  o.http = [&] {
    ++made;
    return http::Client::create({});
  };
  auto auth = Auth::create(o);
  Answer<Credentials> login;
  auth->credentials(kHost, Cancel::never(), login.done());
  EXPECT_TRUE(login.get().ok());
  EXPECT_EQ(made, 0);
  std::vector<Answer<Token>> answers(8);
  for (size_t i = 0; i < answers.size(); ++i) {
    TokenRequest one = request(server.realm());
    one.scopes = {std::to_string(i)};
    auth->fetch_token(one, Cancel::never(), answers[i].done());
  }
  for (auto& answer : answers) EXPECT_TRUE(answer.get().ok());
  EXPECT_EQ(made, 1);
}

TEST_F(TokenTest, NoClientIsAnError) {
  AuthOptions o = options();
  o.http = [] { return std::shared_ptr<http::Client>(); };
  EXPECT_EQ(fetch(o, request("http://127.0.0.1:1/")).status().code(), Code::kFailedPrecondition);
}

// Everything at once: some answers, some refusals, some hangs, cancels, and an end in the middle.
TEST_F(TokenTest, Storm) {
  std::atomic<int> count{0};
  Server server([&](const Server::Request&) -> std::string {
    switch (count++ % 4) {
      case 0:
        return "";
      case 1:
        return Server::answer(503, "");
      case 2:
        return Server::answer(403, "{}");
      default:
        return Server::answer(200, R"({"access_token":"t"})");
    }
  });
  std::vector<Answer<Token>> answers(60);
  {
    auto auth = Auth::create(options());
    std::vector<std::thread> threads;
    for (int t = 0; t < 3; ++t) {
      threads.emplace_back([&, t] {
        for (size_t i = static_cast<size_t>(t); i < answers.size(); i += 3) {
          Cancel cancel;
          TokenRequest one = request(server.realm());
          one.scopes = {std::to_string(i % 20)};
          auth->fetch_token(one, cancel, answers[i].done());
          if (i % 5 == 0) cancel.trigger();
        }
      });
    }
    for (auto& thread : threads) thread.join();
  }
  for (auto& answer : answers) {
    (void)answer.get();
    EXPECT_EQ(answer.calls(), 1);
  }
}

}  // namespace
}  // namespace depot::registry

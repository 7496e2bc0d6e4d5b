// Auth as the session uses it: sources, caching, sharing, the token authority. No network here.
#include "registry/auth.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstring>
#include <thread>

#include "base/base64.h"
#include "registry/authority.h"
#include "support.h"

namespace depot::registry {
namespace {

using base::Cancel;
using base::Code;
using base::Result;
using registry_test::Answer;
using registry_test::Folder;
using registry_test::Gate;
using registry_test::kPatience;
using registry_test::Lines;
using ::testing::HasSubstr;
using ::testing::Not;

class Hands : public base::Clock {
 public:
  std::chrono::steady_clock::time_point now() const override {
    return std::chrono::steady_clock::time_point(std::chrono::seconds(seconds.load()));
  }
  std::chrono::system_clock::time_point wall() const override { return {}; }
  std::atomic<int64_t> seconds{1000};
};

class Source : public CredentialSource {
 public:
  using Find = std::function<Result<std::optional<Credentials>>(const std::string&, const Cancel&)>;
  explicit Source(Find find) : find_(std::move(find)) {}
  Result<std::optional<Credentials>> find(const std::string& host, const Cancel& cancel) override {
    ++calls;
    return find_(host, cancel);
  }
  std::atomic<int> calls{0};

 private:
  Find find_;
};

Credentials login(std::string username, std::string_view secret) {
  Credentials out;
  out.username = std::move(username);
  out.secret = base::Secret(secret);
  return out;
}

class AuthTest : public ::testing::Test {
 protected:
  AuthOptions options() {
    AuthOptions out;
    out.environment = folder.environment(variables);
    out.log = lines.sink();
    out.clock = &clock;
    out.helper_timeout = kPatience;
    out.on_shared = [this](const std::string& host, const std::string& realm) {
      std::lock_guard guard(mutex);
      shared.push_back(host + "|" + realm);
    };
    return out;
  }
  static Result<Credentials> ask(Auth& auth, const std::string& host) {
    Answer<Credentials> answer;
    auth.credentials(host, Cancel::never(), answer.done());
    return answer.get();
  }
  std::string secret_of(Auth& auth, const std::string& host) {
    auto found = ask(auth, host);
    EXPECT_TRUE(found.ok()) << found.status().message();
    return found.ok() ? std::string(found->secret.reveal()) : "(error)";
  }
  static std::string auth_of(std::string_view both) {
    return "\"" + base::base64_encode(both) + "\"";
  }

  Folder folder;
  Lines lines;
  Hands clock;
  std::map<std::string, std::string, std::less<>> variables;
  std::mutex mutex;
  std::vector<std::string> shared;
};

TEST_F(AuthTest, TheFirstSourceThatKnowsTheHostWins) {
  folder.write("config.json", R"({"auths":{"a.example":{"auth":)" + auth_of("file:1") +
                                  R"(},"b.example":{"auth":)" + auth_of("file:2") +
                                  R"(},"c.example":{"auth":)" + auth_of("file:3") + "}}}");
  AuthOptions o = options();
  o.fixed["a.example"] = login("fixed", "f");
  o.sources.push_back(std::make_shared<Source>(
      [](const std::string& host, const Cancel&) -> Result<std::optional<Credentials>> {
        if (host == "a.example" || host == "b.example") return std::optional(login("own", "s"));
        return std::optional<Credentials>();
      }));
  auto auth = Auth::create(o);
  EXPECT_EQ(secret_of(*auth, "a.example"), "f");
  EXPECT_EQ(secret_of(*auth, "b.example"), "s");
  EXPECT_EQ(secret_of(*auth, "c.example"), "3");
  EXPECT_TRUE(ask(*auth, "d.example")->empty());
  EXPECT_THAT(shared, ::testing::ElementsAre("a.example|", "b.example|", "c.example|"))
      << "who gets nothing is not reported";
  variables["DEPOT_PUSH_REGISTRY_USERNAME"] = "u";
  variables["DEPOT_PUSH_REGISTRY_PASSWORD"] = "push";
  o.environment = folder.environment(variables);
  EXPECT_EQ(secret_of(*Auth::create(o), "a.example"), "f") << "nothing is pushed to it";
  o.push_hosts = {"a.example"};
  EXPECT_EQ(secret_of(*Auth::create(o), "a.example"), "push");
  EXPECT_EQ(secret_of(*Auth::create(o), "b.example"), "s");
  EXPECT_TRUE(ask(*Auth::create(o), "d.example")->empty());
}

TEST_F(AuthTest, DockerHubIsOneRegistryUnderThreeNames) {
  folder.write("config.json",
               R"({"auths":{"https://index.docker.io/v1/":{"auth":)" + auth_of("u:hub") + "}}}");
  AuthOptions o = options();
  auto auth = Auth::create(o);
  for (const char* name : {"registry-1.docker.io", "docker.io", "index.docker.io"})
    EXPECT_EQ(secret_of(*auth, name), "hub");
  o.fixed["docker.io"] = login("u", "fixed");
  EXPECT_EQ(secret_of(*Auth::create(o), "registry-1.docker.io"), "fixed");
}

TEST_F(AuthTest, TheVariableComesBeforeTheHelperAndTheHelperBeforeTheFile) {
  folder.helper("test", R"(echo x >> "$here/runs"; case $(cat) in
c.example) echo 'credentials not found in native keychain'; exit 1;;
*) echo '{"Username":"u","Secret":"helper"}';; esac)");
  folder.write("config.json",
               R"({"credsStore":"test","auths":{"b.example":{"auth":)" + auth_of("u:file") +
                   R"(,"registrytoken":"rt"},"c.example":{"auth":)" + auth_of("u:file") + "}}}");
  variables["DOCKER_AUTH_CONFIG"] = R"({"auths":{"a.example":{"auth":)" + auth_of("u:env") + "}}}";
  auto auth = Auth::create(options());
  EXPECT_EQ(secret_of(*auth, "a.example"), "env");
  EXPECT_FALSE(std::filesystem::exists(folder.path("runs"))) << "no helper ran for nothing";
  auto b = ask(*auth, "b.example");
  ASSERT_TRUE(b.ok());
  EXPECT_EQ(b->secret.reveal(), "helper");
  EXPECT_EQ(b->registry_token.reveal(), "rt") << "merged from the file, as docker does";
  EXPECT_TRUE(ask(*auth, "c.example")->empty()) << "the store decides, not what the file still has";
}

TEST_F(AuthTest, WithoutDockersConfigNothingOfItIsTouched) {
  folder.write("config.json", R"({"auths":{"a.example":{"auth":)" + auth_of("u:p") + "}}}");
  AuthOptions o = options();
  o.docker_config = false;
  o.fixed["b.example"] = login("u", "p");
  auto auth = Auth::create(o);
  EXPECT_TRUE(ask(*auth, "a.example")->empty());
  Answer<Auth::PublicKey> key;
  auth->token_authority("b.example", "salt", Cancel::never(), key.done());
  EXPECT_TRUE(key.get().ok());
  EXPECT_FALSE(std::filesystem::exists(folder.path(".token_seed")));
}

TEST_F(AuthTest, AnAnswerIsKeptForItsTime) {
  folder.helper("test", R"(echo x >> "$here/runs"; echo '{"Username":"u","Secret":"s"}')");
  folder.write("config.json", R"({"credsStore":"test"})");
  auto auth = Auth::create(options());
  secret_of(*auth, "a.example");
  clock.seconds += 289;
  secret_of(*auth, "a.example");
  EXPECT_EQ(folder.read("runs"), "x\n");
  clock.seconds += 1;
  secret_of(*auth, "a.example");
  EXPECT_EQ(folder.read("runs"), "x\nx\n");
}

TEST_F(AuthTest, ErrorsAreNotKept) {
  auto failing = std::make_shared<Source>(
      [](const std::string&, const Cancel&) -> Result<std::optional<Credentials>> {
        return base::Status(Code::kUnavailable, base::Hop::kNone, "vault is sealed");
      });
  AuthOptions o = options();
  o.sources.push_back(failing);
  auto auth = Auth::create(o);
  for (int i = 0; i < 2; ++i) {
    auto found = ask(*auth, "a.example");
    ASSERT_FALSE(found.ok());
    EXPECT_EQ(found.status().message(), "credentials of registry a.example: vault is sealed");
    EXPECT_EQ(found.status().hop(), base::Hop::kCallback);
  }
  EXPECT_EQ(failing->calls, 2);
}

TEST_F(AuthTest, CallersAtTheSameTimeShareOneRun) {
  Gate gate;
  auto slow = std::make_shared<Source>(
      [&](const std::string&, const Cancel&) -> Result<std::optional<Credentials>> {
        gate.wait();
        return std::optional(login("u", "s"));
      });
  AuthOptions o = options();
  o.sources.push_back(slow);
  auto auth = Auth::create(o);
  std::vector<Answer<Credentials>> answers(64);
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([&, t] {
      for (size_t i = static_cast<size_t>(t); i < answers.size(); i += 4)
        auth->credentials("a.example", Cancel::never(), answers[i].done());
    });
  }
  for (auto& thread : threads) thread.join();
  gate.open();
  for (auto& answer : answers) EXPECT_EQ(answer.get()->secret.reveal(), "s");
  EXPECT_EQ(secret_of(*auth, "a.example"), "s");
  EXPECT_EQ(slow->calls, 1);
  EXPECT_EQ(shared.size(), 1U);
}

TEST_F(AuthTest, ACancelledCallerLeavesAHelperThatHangs) {
  folder.helper("test", R"(echo $$ > "$here/pid"; while :; do sleep 1000; done)");
  ASSERT_EQ(::mkfifo(folder.path("pid").c_str(), 0600), 0);
  folder.write("config.json", R"({"credsStore":"test"})");
  auto auth = Auth::create(options());
  Cancel cancel;
  Answer<Credentials> answer;
  auth->credentials("a.example", cancel, answer.done());
  folder.read("pid");  // it runs now
  EXPECT_FALSE(answer.come());
  cancel.trigger();
  EXPECT_EQ(answer.get().status().code(), Code::kCancelled);
}

TEST_F(AuthTest, DestroyingItCancelsWhatIsUnderWayAndAnswersEverybody) {
  folder.helper("test", R"(echo $$ > "$here/pid"; while :; do sleep 1000; done)");
  ASSERT_EQ(::mkfifo(folder.path("pid").c_str(), 0600), 0);
  folder.write("config.json", R"({"credsStore":"test"})");
  auto auth = Auth::create(options());
  std::vector<Answer<Credentials>> answers(5);
  Answer<Token> token;
  Answer<Auth::PublicKey> key;
  for (size_t i = 0; i < answers.size(); ++i)
    auth->credentials("a.example", Cancel::never(), answers[i].done());
  auth->fetch_token({"a.example", "https://a.example/token", "", {}}, Cancel::never(),
                    token.done());
  auth->token_authority("a.example", "salt", Cancel::never(), key.done());
  folder.read("pid");
  auth.reset();
  for (auto& answer : answers) {
    EXPECT_EQ(answer.get().status().code(), Code::kCancelled);
    EXPECT_EQ(answer.calls(), 1);
  }
  EXPECT_EQ(token.get().status().code(), Code::kCancelled);
  EXPECT_EQ(key.get().status().code(), Code::kCancelled);
}

TEST_F(AuthTest, ASharedPoolOutlivesIt) {
  auto pool = std::make_shared<base::Pool>(1);
  Gate started, gate;
  auto slow = std::make_shared<Source>(
      [&](const std::string&, const Cancel& cancel) -> Result<std::optional<Credentials>> {
        started.open();
        gate.wait();
        EXPECT_TRUE(cancel.triggered());
        return std::optional(login("u", "s"));
      });
  AuthOptions o = options();
  o.sources.push_back(slow);
  o.pool = pool;
  auto auth = Auth::create(std::move(o));
  Answer<Credentials> running, waiting;
  auth->credentials("a.example", Cancel::never(), running.done());
  auth->credentials("b.example", Cancel::never(), waiting.done());
  EXPECT_TRUE(started.wait());
  auth.reset();  // does not wait for the source
  gate.open();
  EXPECT_EQ(running.get().status().code(), Code::kCancelled);
  EXPECT_EQ(waiting.get().status().code(), Code::kCancelled);
  EXPECT_EQ(slow->calls, 1);
}

TEST_F(AuthTest, HostsThatAreNoneReachNoSource) {
  auto source = std::make_shared<Source>(
      [](const std::string&, const Cancel&) { return std::optional<Credentials>(); });
  AuthOptions o = options();
  o.sources.push_back(source);
  auto auth = Auth::create(o);
  for (const std::string& host : {std::string(), std::string("https://a.example/"),
                                  std::string("a\nb"), std::string(500, 'a')}) {
    EXPECT_EQ(ask(*auth, host).status().code(), Code::kInvalidArgument);
    Answer<Token> token;
    auth->fetch_token({host, "https://a.example/", "", {}}, Cancel::never(), token.done());
    EXPECT_EQ(token.get().status().code(), Code::kInvalidArgument);
    Answer<Auth::PublicKey> key;
    auth->token_authority(host, "salt", Cancel::never(), key.done());
    EXPECT_EQ(key.get().status().code(), Code::kInvalidArgument);
  }
  Answer<Token> much;
  auth->fetch_token({"a.example", "https://a.example/", "", std::vector<std::string>(101, "s")},
                    Cancel::never(), much.done());
  EXPECT_EQ(much.get().status().code(), Code::kResourceExhausted);
  Answer<std::string> proof;
  auth->verify("a.example", std::string(1 << 20, 'x'), "salt", Cancel::never(), proof.done());
  EXPECT_EQ(proof.get().status().code(), Code::kResourceExhausted);
  EXPECT_EQ(source->calls, 0);
}

TEST_F(AuthTest, TheAuthorityProvesTheSameCredentials) {
  AuthOptions o = options();
  o.fixed["a.example"] = login("u", "hunter2");
  std::string salt(32, 's'), payload(32, 'p');
  auto key_of = [&](Auth& auth, const std::string& host) {
    Answer<Auth::PublicKey> answer;
    auth.token_authority(host, salt, Cancel::never(), answer.done());
    auto key = answer.get();
    EXPECT_TRUE(key.ok());
    return *key;
  };
  auto auth = Auth::create(o), other = Auth::create(o);
  auto key = key_of(*auth, "a.example");
  EXPECT_EQ(key_of(*other, "a.example"), key) << "another session of the same user";
  EXPECT_NE(key_of(*auth, "anonymous.example"), key);
  EXPECT_EQ(key_of(*auth, "anonymous.example"), key_of(*other, "other.example"))
      << "without a login all are the same";
  Answer<std::string> proof;
  auth->verify("a.example", payload, salt, Cancel::never(), proof.done());
  auto is_signed = proof.get();
  ASSERT_TRUE(is_signed.ok());
  EXPECT_EQ(is_signed->size(), 96U);
  EXPECT_EQ(is_signed->substr(64), payload);
  std::string seeds = folder.read(".token_seed");
  EXPECT_THAT(seeds, HasSubstr("a.example"));
  EXPECT_THAT(seeds, Not(HasSubstr("anonymous.example")));
  EXPECT_THAT(seeds, Not(HasSubstr("hunter2")));
}

TEST_F(AuthTest, TheAuthorityCanBeTurnedOff) {
  variables["BUILDKIT_NO_CLIENT_TOKEN"] = "true";
  auto auth = Auth::create(options());
  Answer<Auth::PublicKey> key;
  auth->token_authority("a.example", "salt", Cancel::never(), key.done());
  EXPECT_EQ(key.get().status().code(), Code::kUnavailable);
  Answer<std::string> proof;
  auth->verify("a.example", "payload", "salt", Cancel::never(), proof.done());
  EXPECT_EQ(proof.get().status().code(), Code::kUnavailable);
  EXPECT_TRUE(ask(*auth, "a.example").ok());
}

TEST_F(AuthTest, AFarSideThatAsksForManyHostsIsHeldInBounds) {
  auto auth = Auth::create(options());
  for (int i = 0; i < 3000; ++i) ASSERT_TRUE(ask(*auth, "h" + std::to_string(i) + ".example").ok());
}

TEST_F(AuthTest, CancelsFromOtherThreadsRaceWithAnswers) {
  AuthOptions o = options();
  o.fixed["a.example"] = login("u", "s");
  auto auth = Auth::create(o);
  std::vector<Answer<Credentials>> answers(200);
  std::vector<Cancel> switches(answers.size());
  std::thread canceller([&] {
    for (auto& one : switches) one.trigger();
  });
  for (size_t i = 0; i < answers.size(); ++i)
    auth->credentials("a.example", switches[i], answers[i].done());
  canceller.join();
  for (auto& answer : answers) {
    auto found = answer.get();
    EXPECT_TRUE(found.ok() || found.status().code() == Code::kCancelled);
    EXPECT_EQ(answer.calls(), 1);
  }
}

}  // namespace
}  // namespace depot::registry

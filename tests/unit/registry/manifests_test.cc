// Manifests, against Debian's docker-registry and a server that does what real ones only do on bad
// days.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <thread>

#include "base/base64.h"
#include "content/digest.h"
#include "part.h"
#include "registry/challenge.h"
#include "registry/manifests.h"
#include "support.h"

namespace depot::registry {
namespace {

using base::Cancel;
using base::Code;
using base::Hop;
using registry_test::environment_of;
using registry_test::everything;
using registry_test::Folder;
using registry_test::Lines;
using registry_test::Part;
using registry_test::Server;
using ::testing::AllOf;
using ::testing::HasSubstr;
using ::testing::Not;

constexpr char kType[] = "application/vnd.oci.image.index.v1+json";

Manifest index_of(const std::string& text) {
  std::string bytes = R"({"schemaVersion":2,"mediaType":")" + std::string(kType) +
                      R"(","manifests":[],"annotations":{"text":")" + text + "\"}}";
  return {kType, content::digest_of(bytes).text(), bytes};
}

class ManifestsTest : public ::testing::Test {
 protected:
  void TearDown() override { EXPECT_THAT(lines.all(), Not(HasSubstr("sesame"))); }

  ManifestsOptions options(const base::Environment& environment) {
    AuthOptions auth;
    auth.environment = environment;
    auth.log = lines.sink();
    auth.http = [client = client] { return client; };
    auth.on_shared = [this](const std::string& host, const std::string& realm) {
      std::lock_guard guard(mutex);
      shared.push_back(host + "|" + realm);
    };
    ManifestsOptions out;
    out.auth = Auth::create(std::move(auth));
    out.http = client;
    out.retry_delay = std::chrono::milliseconds(1);
    return out;
  }
  ManifestsOptions anonymous() { return options(folder.environment()); }
  base::Environment login(const std::string& host, const std::string& both) {
    folder.write("config.json",
                 R"({"auths":{")" + host + R"(":{"auth":")" + base::base64_encode(both) + "\"}}}");
    return folder.environment();
  }

  Lines lines;
  Folder folder;
  std::mutex mutex;
  std::vector<std::string> shared;
  std::shared_ptr<http::Client> client = http::Client::create({});
};

TEST_F(ManifestsTest, AreWrittenAndReadByTagAndDigest) {
  for (const char* kind : {"none", "htpasswd", "token"}) {
    SCOPED_TRACE(kind);
    Part part({"registry", "--auth", kind});
    const auto& info = part.info["registry"];
    std::string host = info["host"];
    std::string config = info.contains("docker_config") ? std::string(info["docker_config"]) : "";
    Manifests manifests(options(environment_of({{"DOCKER_CONFIG", config}})));
    Repository repository{host, "team/app"};
    auto index = index_of("first");
    auto none = manifests.find(repository, "1", Cancel::never());
    ASSERT_TRUE(none.ok()) << none.status().message();
    EXPECT_FALSE(none->has_value());
    for (const std::string& reference : {std::string("1"), std::string("2"), index.digest}) {
      auto put = manifests.put(repository, reference, index, Cancel::never());
      ASSERT_TRUE(put.ok()) << put.message();
    }
    for (const std::string& reference : {std::string("2"), index.digest}) {
      auto got = manifests.get(repository, reference, Cancel::never());
      ASSERT_TRUE(got.ok()) << got.status().message();
      EXPECT_EQ(got->bytes, index.bytes);
      EXPECT_EQ(got->media_type, kType);
      EXPECT_EQ(got->digest, index.digest);
    }
    EXPECT_EQ(*manifests.find(repository, "1", Cancel::never()), index.digest);
    auto gone = manifests.get(repository, "3", Cancel::never());
    ASSERT_FALSE(gone.ok());
    EXPECT_EQ(gone.status().code(), Code::kNotFound);
    EXPECT_THAT(gone.status().message(),
                AllOf(HasSubstr(host + "/team/app:3"), HasSubstr("MANIFEST_UNKNOWN")));
  }
  EXPECT_THAT(shared, ::testing::Each(Not(::testing::EndsWith("|"))))
      << "nothing of it goes to a builder";
}

TEST_F(ManifestsTest, AWrongLoginIsNamed) {
  Part part({"registry", "--auth", "htpasswd"});
  std::string host = part.info["registry"]["host"];
  for (const auto& environment : {folder.environment(), login(host, "robot:wrong sesame")}) {
    Manifests manifests(options(environment));
    auto put = manifests.put({host, "app"}, "1", index_of("x"), Cancel::never());
    ASSERT_FALSE(put.ok());
    EXPECT_EQ(put.code(), Code::kUnauthenticated);
    EXPECT_EQ(put.hop(), Hop::kRegistry);
    EXPECT_THAT(put.message(),
                AllOf(HasSubstr("push"), HasSubstr(host + "/app:1"), HasSubstr("401")));
    EXPECT_THAT(put.error().hint, HasSubstr("docker login " + host));
    EXPECT_THAT(everything(put), Not(HasSubstr("sesame")));
  }
}

TEST_F(ManifestsTest, BytesOfAnotherDigestAreRefused) {
  auto index = index_of("x");
  Server server([](const Server::Request&) { return Server::answer(200, "{}"); });
  Manifests manifests(anonymous());
  auto got = manifests.get({server.host(), "app"}, index.digest, Cancel::never());
  ASSERT_FALSE(got.ok());
  EXPECT_EQ(got.status().code(), Code::kDataLoss);
  auto blob = manifests.blob({server.host(), "app"}, index.digest, 100, Cancel::never());
  ASSERT_FALSE(blob.ok());
  EXPECT_EQ(blob.status().code(), Code::kDataLoss);
}

TEST_F(ManifestsTest, WhatIsReadIsBounded) {
  std::string large(10000, ' ');
  Server server([&](const Server::Request&) { return Server::answer(200, large); });
  Manifests manifests(anonymous());
  auto blob = manifests.blob({server.host(), "app"}, content::digest_of(large).text(), 9999,
                             Cancel::never());
  ASSERT_FALSE(blob.ok());
  EXPECT_EQ(blob.status().code(), Code::kResourceExhausted);
  blob = manifests.blob({server.host(), "app"}, content::digest_of(large).text(), 10000,
                        Cancel::never());
  EXPECT_TRUE(blob.ok()) << blob.status().message();
}

TEST_F(ManifestsTest, PassingFailuresAreTriedAgain) {
  auto index = index_of("x");
  std::atomic<int> asked{0};
  Server server([&](const Server::Request&) {
    return asked++ < 3 ? Server::answer(503, "{}") : Server::answer(200, index.bytes);
  });
  Manifests manifests(anonymous());
  EXPECT_TRUE(manifests.get({server.host(), "app"}, index.digest, Cancel::never()).ok());
  EXPECT_EQ(asked, 4);
  asked = -1;
  auto gone = manifests.get({server.host(), "app"}, index.digest, Cancel::never());
  ASSERT_FALSE(gone.ok());
  EXPECT_EQ(gone.status().code(), Code::kUnavailable);
  EXPECT_TRUE(gone.status().error().retryable);
  EXPECT_EQ(asked, 3);
}

TEST_F(ManifestsTest, ARefusalHasTheRegistrysWords) {
  Server server([](const Server::Request& got) {
    return got.method == "HEAD"
               ? Server::answer(404, "")
               : Server::answer(403,
                                R"({"errors":[{"code":"DENIED","message":"tag is immutable"}]})");
  });
  Manifests manifests(anonymous());
  auto put = manifests.put({server.host(), "app"}, "1", index_of("x"), Cancel::never());
  ASSERT_FALSE(put.ok());
  EXPECT_EQ(put.code(), Code::kPermissionDenied);
  EXPECT_EQ(put.message(),
            "cannot push " + server.host() + "/app:1: HTTP status 403: DENIED: tag is immutable");
}

TEST_F(ManifestsTest, ATagThatHasItIsLeftAlone) {
  auto index = index_of("x");
  Server server([&](const Server::Request& got) {
    return got.method == "HEAD"
               ? Server::answer(200, "", "Docker-Content-Digest: " + index.digest + "\r\n")
               : Server::answer(403, "{}");
  });
  Manifests manifests(anonymous());
  auto put = manifests.put({server.host(), "app"}, "1", index, Cancel::never());
  EXPECT_TRUE(put.ok()) << put.message();
}

TEST_F(ManifestsTest, ATokenThatExpiredIsReplaced) {
  auto index = index_of("x");
  std::atomic<int> tokens{0};
  std::string realm;
  Server server([&](const Server::Request& got) {
    if (got.target.starts_with("/token"))
      return Server::answer(200, R"({"token":"number-)" + std::to_string(++tokens) + "\"}");
    auto authorization = got.headers.find("authorization");
    bool fresh = authorization != got.headers.end() &&
                 authorization->second == "Bearer number-" + std::to_string(tokens);
    if (fresh) return Server::answer(200, index.bytes);
    return Server::answer(401, "{}",
                          "WWW-Authenticate: Bearer realm=\"" + realm + "\",service=\"here\"\r\n");
  });
  realm = server.realm();
  Manifests manifests(anonymous());
  Repository repository{server.host(), "app"};
  EXPECT_TRUE(manifests.get(repository, index.digest, Cancel::never()).ok());
  EXPECT_TRUE(manifests.get(repository, index.digest, Cancel::never()).ok());
  EXPECT_EQ(tokens, 1) << "it is kept";
  ++tokens;  // whatever was given is of no use any more
  EXPECT_TRUE(manifests.get(repository, index.digest, Cancel::never()).ok());
  EXPECT_EQ(tokens, 3);
  EXPECT_THAT(server.requests()[1].target, HasSubstr("scope=repository%3Aapp%3Apull&"));
}

TEST_F(ManifestsTest, ARedirectIsFollowedWithoutTheLogin) {
  std::string text = "the config";
  Server store([&](const Server::Request&) { return Server::answer(200, text); });
  Server server([&](const Server::Request& got) {
    if (!got.headers.contains("authorization"))
      return Server::answer(401, "{}", "WWW-Authenticate: Basic realm=\"here\"\r\n");
    return Server::answer(307, "", "Location: http://" + store.host() + "/store?signed=1\r\n");
  });
  Manifests manifests(options(login(server.host(), "me:open sesame")));
  auto blob =
      manifests.blob({server.host(), "app"}, content::digest_of(text).text(), 100, Cancel::never());
  ASSERT_TRUE(blob.ok()) << blob.status().message();
  EXPECT_EQ(*blob, text);
  ASSERT_EQ(store.requests().size(), 1U);
  EXPECT_EQ(store.requests()[0].target, "/store?signed=1");
  EXPECT_FALSE(store.requests()[0].headers.contains("authorization"));
  auto put = manifests.put({server.host(), "app"}, "1", index_of("x"), Cancel::never());
  EXPECT_FALSE(put.ok()) << "a write is not sent elsewhere";
}

TEST_F(ManifestsTest, EndsWithItsCancelAndItsDeadline) {
  Server server([](const Server::Request&) { return std::string(); });  // never answers
  auto patient = anonymous();
  Manifests manifests(patient);
  Cancel cancel;
  std::thread stop([&] {
    server.wait_for(1);
    cancel.trigger();
  });
  auto got = manifests.get({server.host(), "app"}, "1", cancel);
  stop.join();
  ASSERT_FALSE(got.ok());
  EXPECT_EQ(got.status().code(), Code::kCancelled);
  auto hasty = anonymous();
  hasty.timeout = std::chrono::milliseconds(50);
  got = Manifests(hasty).get({server.host(), "app"}, "1", Cancel::never());
  ASSERT_FALSE(got.ok());
  EXPECT_EQ(got.status().code(), Code::kDeadlineExceeded);
}

TEST_F(ManifestsTest, NamesCannotSteerTheURL) {
  Manifests manifests(anonymous());
  for (const char* name : {"", "a?b", "a#b", "../a", "a b", "a\nb"})
    EXPECT_EQ(manifests.get({"localhost:1", name}, "1", Cancel::never()).status().code(),
              Code::kInvalidArgument)
        << name;
  for (const char* reference : {"", "1?x", "../1"})
    EXPECT_EQ(manifests.get({"localhost:1", "a"}, reference, Cancel::never()).status().code(),
              Code::kInvalidArgument)
        << reference;
  EXPECT_EQ(manifests.get({"a@b", "a"}, "1", Cancel::never()).status().code(),
            Code::kInvalidArgument);
}

TEST(Challenges, OfOneHeader) {
  auto found = parse_challenges(
      R"(Bearer realm="https://a/token?x=1,2",service=here, scope="repository:a:pull,push" , Basic realm="q\"d")");
  ASSERT_EQ(found.size(), 2U);
  EXPECT_EQ(found[0].scheme, "bearer");
  EXPECT_EQ(found[0].field("realm"), "https://a/token?x=1,2");
  EXPECT_EQ(found[0].field("service"), "here");
  EXPECT_EQ(found[0].field("scope"), "repository:a:pull,push");
  EXPECT_EQ(found[1].scheme, "basic");
  EXPECT_EQ(found[1].field("realm"), "q\"d");
  EXPECT_EQ(parse_challenges("Negotiate").size(), 1U);
  EXPECT_TRUE(parse_challenges("").empty());
  EXPECT_TRUE(parse_challenges("realm=\"x\"").empty());
  EXPECT_EQ(parse_challenges("Bearer realm=\"open").at(0).field("realm"), "");
}

}  // namespace
}  // namespace depot::registry

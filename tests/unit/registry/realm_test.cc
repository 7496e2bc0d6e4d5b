// Who may be asked for a token, and who may get the password.
#include "registry/realm.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>

#include "registry/realm_names.h"

namespace depot::registry {
namespace {

using base::Code;
using base::Status;
using ::testing::HasSubstr;

// Names resolve as a test says, others to a public address.
class Rules {
 public:
  RealmRules rules() const {
    RealmRules out;
    out.plain_http_hosts = plain;
    out.consent = consent;
    out.resolve = [this](const std::string& host) {
      auto found = names.find(host);
      return found == names.end() ? std::vector<Reach>{Reach::kPublic} : found->second;
    };
    return out;
  }
  Status check(const std::string& registry, const std::string& url, bool password) const {
    auto realm = parse_realm(url, registry);
    if (!realm.ok()) return realm.status();
    return check_realm(registry, *realm, password, rules());
  }
  bool anonymous(const std::string& registry, const std::string& url) const {
    return check(registry, url, false).ok();
  }
  bool password(const std::string& registry, const std::string& url) const {
    return check(registry, url, true).ok();
  }

  std::map<std::string, std::vector<Reach>> names;
  std::set<std::string, std::less<>> plain;
  std::function<bool(const std::string&, const std::string&)> consent;
};

TEST(Realm, KnownAndOwnServersGetThePassword) {
  Rules rules;
  struct {
    const char *registry, *url;
  } pairs[] = {
      {"registry-1.docker.io", "https://auth.docker.io/token"},
      {"docker.io", "https://AUTH.docker.io/token"},
      {"ghcr.io", "https://ghcr.io/token"},
      {"registry.gitlab.com", "https://gitlab.com/jwt/auth"},
      {"us.gcr.io", "https://gcr.io/v2/token"},
      {"registry.cn-hangzhou.aliyuncs.com", "https://dockerauth.cn-hangzhou.aliyuncs.com/auth"},
      {"mine.azurecr.io", "https://mine.azurecr.io/oauth2/token"},
      {"us-docker.pkg.dev", "https://us-docker.pkg.dev/v2/token"},
      {"registry.example.com", "https://auth.example.com/token"},
      {"registry.example.co.uk", "https://auth.example.co.uk:8443/token"},
      {"registry.example.com:5000", "https://registry.example.com:5001/token"},
      {"localhost:5000", "http://127.0.0.1:5001/token"},
      {"10.1.2.3:5000", "https://10.1.2.3:5001/token"},
  };
  for (const auto& pair : pairs) {
    Status status = rules.check(pair.registry, pair.url, true);
    EXPECT_TRUE(status.ok()) << pair.registry << " " << pair.url << " " << status.message();
  }
}

TEST(Realm, StrangersDoNot) {
  Rules rules;
  struct {
    const char *registry, *url;
  } pairs[] = {
      {"registry-1.docker.io", "https://auth.docker.io.evil.example/token"},
      {"registry-1.docker.io", "https://auth-docker.io/token"},
      {"registry.example.com", "https://evil.example.org/token"},
      {"registry.example.co.uk", "https://evil.co.uk/token"},
      {"mine.azurecr.io", "https://evil.azurecr.io/oauth2/token"},
      {"1.dkr.ecr.us-east-1.amazonaws.com", "https://evil.s3.amazonaws.com/token"},
      {"me.github.io", "https://evil.github.io/token"},
      {"registry.cn-hangzhou.aliyuncs.com", "https://evil.oss.aliyuncs.com/auth"},
      {"registry.cn-hangzhou.aliyuncs.com", "https://dockerauth.cn-beijing.aliyuncs.com/auth"},
      {"203.0.113.7:5000", "https://203.0.113.8/token"},
      {"registry", "https://auth/token"},
      {"ghcr.io", "https://com/token"},
  };
  for (const auto& pair : pairs) {
    Status status = rules.check(pair.registry, pair.url, true);
    ASSERT_FALSE(status.ok()) << pair.registry << " " << pair.url;
    EXPECT_EQ(status.code(), Code::kPermissionDenied);
    EXPECT_EQ(status.hop(), base::Hop::kRegistry);
    EXPECT_THAT(status.message(), HasSubstr(pair.registry));
    EXPECT_EQ(status.error().hint.empty(), status.message().find("ties") == std::string::npos);
  }
}

TEST(Realm, ConsentCountsForThePasswordAndNothingElse) {
  Rules rules;
  std::string asked;
  rules.consent = [&](const std::string& host, const std::string& realm) {
    asked = host + " " + realm;
    return true;
  };
  EXPECT_TRUE(rules.password("registry.example.com", "https://login.other.net:444/token"));
  EXPECT_EQ(asked, "registry.example.com login.other.net:444");
  asked.clear();
  EXPECT_TRUE(rules.anonymous("registry.example.com", "https://login.other.net/token"));
  EXPECT_FALSE(rules.password("registry.example.com", "http://login.other.net/token"));
  EXPECT_FALSE(rules.password("registry.example.com", "https://169.254.169.254/token"));
  EXPECT_EQ(asked, "");
}

TEST(Realm, PublicRegistriesAreNotSentInside) {
  Rules rules;
  rules.names["rebind.evil.example"] = {Reach::kPublic, Reach::kPrivate};
  rules.names["auth.corp.example"] = {Reach::kPrivate};
  rules.names["registry.corp.example"] = {Reach::kPrivate};
  for (const char* url : {"https://127.0.0.1/",
                          "https://127.1/",
                          "https://0x7f000001/",
                          "https://2130706433/",
                          "https://017700000001/",
                          "https://[::1]/",
                          "https://[::ffff:127.0.0.1]/",
                          "https://[64:ff9b::7f00:1]/",
                          "https://localhost/",
                          "https://x.localhost/",
                          "https://10.0.0.1/",
                          "https://192.168.0.1/",
                          "https://172.16.0.1/",
                          "https://100.64.0.1/",
                          "https://169.254.169.254/",
                          "https://[fe80::1]/",
                          "https://[fd00::1]/",
                          "https://0.0.0.0/",
                          "https://metadata.google.internal/",
                          "https://router/",
                          "https://nas.local/",
                          "https://rebind.evil.example/",
                          "https://auth.corp.example/"}) {
    EXPECT_FALSE(rules.anonymous("registry.example.com", url)) << url;
    EXPECT_FALSE(rules.password("registry.example.com", url)) << url;
  }
  EXPECT_TRUE(rules.password("registry.corp.example", "https://auth.corp.example/"))
      << "inside by what both resolve to";
}

TEST(Realm, LinkLocalAddressesAreOnlyEverTheirOwn) {
  Rules rules;
  EXPECT_FALSE(rules.anonymous("10.0.0.1", "https://169.254.169.254/latest"));
  EXPECT_FALSE(rules.anonymous("169.254.169.254", "http://169.254.169.254/latest/meta-data"))
      << "cloud metadata";
  EXPECT_FALSE(rules.anonymous("localhost", "http://169.254.169.254/latest/meta-data"));
  EXPECT_TRUE(rules.anonymous("169.254.7.7", "https://169.254.7.7/token"));
  rules.plain = {"169.254.7.7"};
  EXPECT_TRUE(rules.password("169.254.7.7:5000", "http://169.254.7.7/token"));
}

TEST(Realm, PlainHttpIsForLoopbackAndTheListed) {
  Rules rules;
  EXPECT_FALSE(rules.anonymous("registry.example.com", "http://registry.example.com/token"));
  EXPECT_FALSE(rules.anonymous("registry.example.com", "http://127.0.0.1/token"));
  EXPECT_FALSE(rules.password("10.0.0.5:5000", "http://10.0.0.5:5001/token"));
  EXPECT_TRUE(rules.anonymous("10.0.0.5:5000", "http://10.0.0.5:5001/token"));
  EXPECT_FALSE(rules.anonymous("10.0.0.5:5000", "http://10.0.0.6/token")) << "not its own";
  EXPECT_FALSE(rules.password("localhost:5000", "http://10.0.0.6/token"));
  rules.plain = {"10.0.0.5:5000", "registry.example.com"};
  EXPECT_TRUE(rules.password("10.0.0.5:5000", "http://10.0.0.5:5001/token"));
  EXPECT_TRUE(rules.password("registry.example.com", "http://registry.example.com/token"));
  EXPECT_FALSE(rules.password("registry.example.com", "http://auth.example.com/token"));
  rules.plain.insert("auth.example.com");
  EXPECT_TRUE(rules.password("registry.example.com", "http://auth.example.com/token"));
}

TEST(Realm, UrlsHaveOneReading) {
  Rules rules;
  for (const std::string& url : {std::string(),
                                 std::string("auth.docker.io/token"),
                                 std::string("ftp://auth.docker.io/"),
                                 std::string("https://auth.docker.io@evil.example/"),
                                 std::string("https://evil.example\\@auth.docker.io/"),
                                 std::string("https://"),
                                 std::string("https:///token"),
                                 std::string("https://auth.docker.io:0/"),
                                 std::string("https://auth.docker.io:99999/"),
                                 std::string("https://auth.docker.io:/"),
                                 std::string("https://auth.docker.io:80:80/"),
                                 std::string("https://auth.docker.io/#x"),
                                 std::string("https://auth.docker.io /"),
                                 std::string("https://auth.docker.io/\r\nHost: x"),
                                 std::string("https://auth.docker.io\0.evil.example/", 37),
                                 std::string("https://auth\xc2\xad.docker.io/"),
                                 std::string("https://[::1/"),
                                 std::string("https://[evil]/"),
                                 std::string("https://.docker.io/"),
                                 std::string("https://%61uth.docker.io/"),
                                 std::string("javascript:https://x/"),
                                 "https://auth.docker.io/" + std::string(5000, 'x')}) {
    Status status = rules.check("docker.io", url, true);
    ASSERT_FALSE(status.ok()) << url;
    EXPECT_THAT(status.message(), HasSubstr("docker.io"));
  }
  auto realm = parse_realm("HTTPS://Auth.Docker.io.:443/a/b?x=1&y=%20", "docker.io");
  ASSERT_TRUE(realm.ok());
  EXPECT_TRUE(realm->tls);
  EXPECT_EQ(realm->at.host, "auth.docker.io");
  EXPECT_EQ(realm->at.port, 443);
  EXPECT_EQ(realm->path, "/a/b");
  EXPECT_EQ(realm->query, "x=1&y=%20");
}

TEST(Realm, RegistrableDomains) {
  EXPECT_EQ(registrable_domain("a.b.example.com"), "example.com");
  EXPECT_EQ(registrable_domain("a.example.co.uk"), "example.co.uk");
  EXPECT_EQ(registrable_domain("a.example.com.au"), "example.com.au");
  EXPECT_EQ(registrable_domain("example.de"), "example.de");
  for (const char* none : {"co.uk", "com", "localhost", "10.0.0.1", "::1", "a.azurecr.io",
                           "azurecr.io", "x.y.amazonaws.com", ""})
    EXPECT_EQ(registrable_domain(none), "") << none;
}

TEST(Realm, TheResolverKnowsLoopback) {
  auto reaches = resolve_reaches("127.0.0.1", base::Cancel::never());
  ASSERT_FALSE(reaches.empty());
  EXPECT_EQ(reaches.front(), Reach::kLoopback);
  EXPECT_TRUE(resolve_reaches("no such name", base::Cancel::never()).empty());
}

TEST(Realm, TheResolverIsNotWaitedForAfterACancel) {
  base::Cancel cancel;
  cancel.trigger();
  // Whatever is known by then; that this returns is all there is to see.
  resolve_reaches("a-name-that-takes-its-time.invalid", cancel);
}

}  // namespace
}  // namespace depot::registry

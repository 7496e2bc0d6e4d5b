// Which requests take a proxy, and that its failures are told from the server's.
#include "http/proxy.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "http/client.h"
#include "http/errors.h"
#include "unit/http/raw_server.h"

namespace depot::http {
namespace {

using base::Cancel;
using base::Code;
using base::Environment;
using base::Hop;
using test::http_answer;
using test::RawServer;
using testing::HasSubstr;
using testing::Not;

std::string proxy(const std::string& url, std::map<std::string, std::string, std::less<>> variables,
                  const std::string& option = "") {
  auto parsed = parse_url(url);
  EXPECT_TRUE(parsed.ok()) << url;
  return proxy_for(*parsed, option, Environment(std::move(variables)));
}

TEST(Proxy, IsChosenAsCurlDoes) {
  EXPECT_EQ(proxy("http://a/", {}), "");
  EXPECT_EQ(proxy("http://a/", {{"http_proxy", "p"}, {"https_proxy", "s"}}), "p");
  EXPECT_EQ(proxy("https://a/", {{"http_proxy", "p"}, {"https_proxy", "s"}}), "s");
  EXPECT_EQ(proxy("https://a/", {{"HTTPS_PROXY", "S"}}), "S");
  EXPECT_EQ(proxy("http://a/", {{"HTTP_PROXY", "P"}}), "") << "a CGI request could set it";
  EXPECT_EQ(proxy("http://a/", {{"ALL_PROXY", "all"}}), "all");
  EXPECT_EQ(proxy("http://a/", {{"all_proxy", "low"}, {"ALL_PROXY", "up"}}), "low");
  EXPECT_EQ(proxy("http://a/", {{"http_proxy", "p"}}, "mine"), "mine");
  EXPECT_EQ(proxy("http://a/", {{"no_proxy", "a"}}, "mine"), "");
  EXPECT_EQ(proxy("http://a/", {{"http_proxy", "p"}, {"NO_PROXY", "b, a"}}), "");
}

TEST(Proxy, Exemptions) {
  struct Case {
    const char *host, *no_proxy;
    bool exempt;
  };
  for (const Case& c :
       std::initializer_list<Case>{{"a.example", "", false},
                                   {"a.example", "*", true},
                                   {"a.example", "example", true},
                                   {"a.example", ".example", true},
                                   {"example", ".example", true},
                                   {"A.Example.", "example.", true},
                                   {"aexample", "example", false},
                                   {"a.example", "b.example,c.example a.example", true},
                                   {"a.example", "  ,,  ", false},
                                   {"127.0.0.1", "127.0.0.1", true},
                                   {"127.0.0.1", "127.0.0.0/8", true},
                                   {"128.0.0.1", "127.0.0.0/8", false},
                                   {"10.1.2.3", "10.1.2.0/23", true},
                                   {"10.1.4.3", "10.1.2.0/23", false},
                                   {"10.1.4.3", "0.0.0.0/0", true},
                                   {"10.1.4.3", "10.0.0.0/99", false},
                                   {"10.1.4.3", "10.0.0.0/x", false},
                                   {"10.1.4.3", "10.0.0.0/-1", false},
                                   {"1.2.3.4", "4", false},
                                   {"[::1]", "::1", true},
                                   {"[::1]", "[::1]", true},
                                   {"[fe80::1]", "fe80::/10", true},
                                   {"[2001::1]", "fe80::/10", false},
                                   {"[::1]", "127.0.0.1", false}})
    EXPECT_EQ(exempt_from_proxy(c.host, c.no_proxy), c.exempt) << c.host << " | " << c.no_proxy;
}

base::Result<Response> through(const std::string& proxy_url, const std::string& url) {
  Options options;
  options.environment.emplace();
  options.proxy = proxy_url;
  Request request;
  request.url = url;
  return Client::create(options)->fetch(std::move(request), Cancel::never());
}

TEST(Proxy, CarriesPlainRequests) {
  RawServer server([](const std::string&, int) { return http_answer(200, "", "by proxy"); });
  auto response = through(server.url(), "http://far.invalid/x");
  ASSERT_TRUE(response.ok()) << response.status().message();
  EXPECT_EQ(response->body, "by proxy");
  EXPECT_THAT(server.requests()[0], testing::StartsWith("GET http://far.invalid/x HTTP/1.1\r\n"));
  EXPECT_EQ(server.prefaces(), 0) << "a proxy is not asked for HTTP/2";
}

TEST(Proxy, ABadOneIsRefusedWithoutAQuote) {
  for (const char* bad :
       {"http://user:s3cr3t@host:port", "http://user:s3cr3t@[::1", "ftp://user:s3cr3t@host:1",
        "http://user:s3c/r3t@host:1", "http://user:1/s3cr3t@host:1", "http://user:1?s3cr3t@host:1",
        "http://user:1#s3cr3t@host:1", "user:s3cr3t@", "http://user:s3cr3t@host:1/path",
        "http://user:s3cr3t@ho st", "://s3cr3t"}) {
    base::Status status = check_proxy(bad);
    EXPECT_EQ(status.code(), Code::kInvalidArgument) << bad;
    EXPECT_EQ(status.hop(), Hop::kUsage) << bad;
    EXPECT_THAT(status.message(), Not(HasSubstr("s3c"))) << bad;
    for (const char* url : {"http://far.invalid/", "https://far.invalid/"})
      EXPECT_THAT(through(bad, url).status().message(), Not(HasSubstr("s3c"))) << bad;
  }
  for (const char* good :
       {"http://user:s3cr3t@host:1", "host", "host:3128", "user:pass@host:3128", "HTTPS://[::1]:1/",
        "socks5h://localhost/run/socks", "socks4a://h", "http://u:a%2fb@h"})
    EXPECT_TRUE(check_proxy(good).ok()) << good;
}

TEST(Proxy, CurlsWordsAreToldWithoutIt) {
  Failure failure;
  failure.code = CURLE_COULDNT_RESOLVE_PROXY;
  failure.proxy = "http://user:s3cr3t@host:1";
  failure.text = "Unsupported proxy syntax in '" + failure.proxy + "': " + failure.proxy;
  failure.target = "https://far.invalid";
  base::Status status = failure_status(failure);
  EXPECT_THAT(status.message(), HasSubstr("Unsupported proxy syntax in '[proxy]': [proxy]"));
}

TEST(Proxy, ItsFailuresAreItsOwn) {
  std::string dead = "http://user:s3cr3t@127.0.0.1:" + std::to_string(test::closed_port());
  for (const char* url : {"http://far.invalid/", "https://far.invalid/"}) {
    auto response = through(dead, url);
    EXPECT_EQ(response.status().hop(), Hop::kProxy) << url;
    EXPECT_EQ(response.status().code(), Code::kUnavailable);
    EXPECT_TRUE(response.status().error().retryable);
    EXPECT_THAT(response.status().message(), Not(HasSubstr("s3cr3t")));
  }
  // One that hangs up on CONNECT, and one that was named https:// but speaks no TLS.
  RawServer rude([](const std::string&, int) { return ""; });
  EXPECT_EQ(through(rude.url(), "https://far.invalid/").status().hop(), Hop::kProxy);
  RawServer no_tls([](const std::string&, int) { return ""; });
  std::string named = "https" + no_tls.url().substr(4);
  EXPECT_EQ(through(named, "https://far.invalid/").status().hop(), Hop::kProxy);

  auto unknown = through("http://proxy.invalid:3128", "https://far.invalid/");
  EXPECT_EQ(unknown.status().hop(), Hop::kProxy);

  struct Case {
    int status;
    Code code;
    bool retryable;
  };
  for (const Case& c :
       {Case{407, Code::kUnauthenticated, false}, Case{403, Code::kPermissionDenied, false},
        Case{502, Code::kUnavailable, true}}) {
    RawServer server([&](const std::string&, int) {
      return http_answer(c.status, "Proxy-Authenticate: Basic realm=\"x\"\r\nConnection: close\r\n",
                         "no");
    });
    auto tunnel = through(server.url(), "https://far.invalid/");
    EXPECT_EQ(tunnel.status().hop(), Hop::kProxy) << c.status;
    EXPECT_EQ(tunnel.status().code(), c.code) << c.status;
    EXPECT_EQ(tunnel.status().error().retryable, c.retryable) << c.status;
    EXPECT_THAT(server.requests()[0], testing::StartsWith("CONNECT far.invalid:443 "));
  }
  RawServer wants([](const std::string&, int) {
    return http_answer(407, "Proxy-Authenticate: Basic realm=\"x\"\r\n", "");
  });
  auto plain = through(wants.url(), "http://far.invalid/");
  EXPECT_EQ(plain.status().hop(), Hop::kProxy);
  EXPECT_EQ(plain.status().code(), Code::kUnauthenticated);
}

}  // namespace
}  // namespace depot::http

// Image names against Go's distribution/reference v0.6.0: the table was printed by its
// ParseNormalizedNamed and TagNameOnly.
#include <gtest/gtest.h>

#include "solve/request.h"

namespace depot::solve {
namespace {

// Long parts are written as <h> (64 hex digits), <H> (upper case), <n> (n letters).
std::string expand(std::string text) {
  auto replace = [&](const std::string& what, const std::string& with) {
    for (size_t at; (at = text.find(what)) != std::string::npos;)
      text.replace(at, what.size(), with);
  };
  std::string hex;
  std::string upper;
  for (int i = 0; i < 4; ++i) {
    hex += "0123456789abcdef";
    upper += "0123456789ABCDEF";
  }
  replace("<h>", hex);
  replace("<H>", upper);
  for (size_t n : {245, 247, 248, 255, 256})
    replace("<" + std::to_string(n) + ">", std::string(n, 'a'));
  for (size_t n : {128, 129}) replace("<" + std::to_string(n) + ">", std::string(n, 't'));
  return text;
}

struct Name {
  const char* given;
  const char* canonical;  // "": refused
};
const Name kNames[] = {
    {"app", "docker.io/library/app:latest"},
    {"app:1", "docker.io/library/app:1"},
    {"app:latest", "docker.io/library/app:latest"},
    {"user/app", "docker.io/user/app:latest"},
    {"docker.io/app", "docker.io/library/app:latest"},
    {"docker.io/user/app", "docker.io/user/app:latest"},
    {"docker.io/library/app", "docker.io/library/app:latest"},
    {"index.docker.io/app", "docker.io/library/app:latest"},
    {"index.docker.io/user/app:1", "docker.io/user/app:1"},
    {"localhost/app", "localhost/app:latest"},
    {"localhost:5000/app", "localhost:5000/app:latest"},
    {"localhost:5000/app:1", "localhost:5000/app:1"},
    {"LOCALHOST/app", "LOCALHOST/app:latest"},
    {"127.0.0.1:5000/app:1", "127.0.0.1:5000/app:1"},
    {"[::1]:5000/app", "[::1]:5000/app:latest"},
    {"[::1]/app:1", "[::1]/app:1"},
    {"[fe80::1%eth0]/app", ""},
    {"[::g]/app", ""},
    {"registry.example.com/team/app:v1.2.3", "registry.example.com/team/app:v1.2.3"},
    {"registry.example.com/a/b/c/d", "registry.example.com/a/b/c/d:latest"},
    {"registry.example.com:443/a", "registry.example.com:443/a:latest"},
    {"Registry.Example.Com/app", "Registry.Example.Com/app:latest"},
    {"HOST/app", "HOST/app:latest"},
    {"Host/app", "Host/app:latest"},
    {"host/app", "docker.io/host/app:latest"},
    {"host/App", ""},
    {"App", ""},
    {"aPP/x", "aPP/x:latest"},
    {"a.b/c", "a.b/c:latest"},
    {"a.b", "docker.io/library/a.b:latest"},
    {"a.b:5", "docker.io/library/a.b:5"},
    {"a/b.c", "docker.io/a/b.c:latest"},
    {"a..b", ""},
    {"a._b", ""},
    {"a__b", "docker.io/library/a__b:latest"},
    {"a___b", ""},
    {"a-b", "docker.io/library/a-b:latest"},
    {"a--b", "docker.io/library/a--b:latest"},
    {"a---b/c", "docker.io/a---b/c:latest"},
    {"-a", ""},
    {"a-", ""},
    {".a", ""},
    {"a.", ""},
    {"_a", ""},
    {"a_", ""},
    {"a/", ""},
    {"/a", ""},
    {"a//b", ""},
    {"a/b/", ""},
    {"http://x/y", ""},
    {"https://x", ""},
    {"app:", ""},
    {"app:.x", ""},
    {"app:-x", ""},
    {"app:_x", "docker.io/library/app:_x"},
    {"app:X.y-z_1", "docker.io/library/app:X.y-z_1"},
    {"app:<128>", "docker.io/library/app:<128>"},
    {"app:<129>", ""},
    {"app:a:b", ""},
    {"app:a/b", ""},
    {"app@sha256:<h>", "docker.io/library/app@sha256:<h>"},
    {"app:1@sha256:<h>", "docker.io/library/app:1@sha256:<h>"},
    {"app@sha256:<H>", ""},
    {"app@sha256:abcd", ""},
    {"app@sha512:<h>", ""},
    {"app@sha512:<h><h>", "docker.io/library/app@sha512:<h><h>"},
    {"app@md5:<h>", ""},
    {"app@", ""},
    {"app@sha256:<h>@sha256:<h>", ""},
    {"@sha256:<h>", ""},
    {"<h>", ""},
    {"user/<h>", "docker.io/user/<h>:latest"},
    {"<h>:tag", "docker.io/library/<h>:tag"},
    {"docker.io/<h>", "docker.io/library/<h>:latest"},
    {"<255>", ""},
    {"<256>", ""},
    {"<247>", "docker.io/library/<247>:latest"},
    {"<248>", ""},
    {"user/<255>", ""},
    {"user/<245>", "docker.io/user/<245>:latest"},
    {"example.com/<255>", "example.com/<255>:latest"},
    {"example.com/<256>", ""},
    {"example.com/<245>", "example.com/<245>:latest"},
    {"a b", ""},
    {"a$b", ""},
    {"ä", ""},
    {"", ""},
    {":", ""},
    {":tag", ""},
    {":5000/a", ""},
    {"a:/b", ""},
    {"a.b:/c", ""},
    {"a.b:x/c", ""},
    {"a.b:80:80/c", ""},
    {"a..b/c", ""},
    {"-a.b/c", ""},
    {"a-.b/c", ""},
    {"a.-b/c", ""},
    {"a.b-/c", ""},
    {"a.b./c", ""},
    {".a/b", ""},
    {"a_b:80/c", ""},
    {"xn--a.b/c", "xn--a.b/c:latest"},
    {"docker.io", "docker.io/library/docker.io:latest"},
    {"docker.io/", ""},
    {"localhost", "docker.io/library/localhost:latest"},
    {"localhost/", ""},
    {"index.docker.io", "docker.io/library/index.docker.io:latest"},
    {"DOCKER.IO/app", "DOCKER.IO/app:latest"},
    {"library/app", "docker.io/library/app:latest"},
    {"docker.io/a.b/c", "docker.io/a.b/c:latest"},
    {"1.2.3.4/a", "1.2.3.4/a:latest"},
    {"1/2", "docker.io/1/2:latest"},
    {"0", "docker.io/library/0:latest"},
};

TEST(CanonicalName, EqualsGos) {
  for (const auto& [given, canonical] : kNames) {
    auto name = canonical_name(expand(given));
    EXPECT_EQ(name.ok() ? *name : "", expand(canonical)) << "for '" << given << "'";
    if (!name.ok()) {
      EXPECT_EQ(name.status().code(), base::Code::kInvalidArgument);
      EXPECT_EQ(name.status().hop(), base::Hop::kUsage);
    }
  }
}

TEST(CanonicalName, RefusesWhatGoTakesForANameWithoutAHost) {
  // To Go "a_b.c/d" is a repository of no registry at all.
  EXPECT_FALSE(canonical_name("a_b.c/d").ok());
}

TEST(CanonicalName, StaysAsItIsTheSecondTime) {
  for (const auto& [given, canonical] : kNames) {
    if (*canonical == '\0') continue;
    auto again = canonical_name(expand(canonical));
    ASSERT_TRUE(again.ok()) << canonical;
    EXPECT_EQ(*again, expand(canonical));
  }
}

TEST(Tag, IsWhatStandsBehindTheColon) {
  for (const char* tag : {"v1", "1.2-rc.3_x", "_a"}) EXPECT_TRUE(check_tag(tag).ok()) << tag;
  EXPECT_TRUE(check_tag(std::string(128, 'x')).ok());
  for (const std::string tag : {"", "-a", ".a", "a:b", "a/b", "a b", "\xff"})
    EXPECT_EQ(check_tag(tag).code(), base::Code::kInvalidArgument) << tag;
  EXPECT_FALSE(check_tag(std::string(129, 'x')).ok());
}

TEST(CanonicalName, RefusesBytesThatAreNoText) {
  EXPECT_FALSE(canonical_name(std::string("a\0b", 3)).ok());
  EXPECT_FALSE(canonical_name("a\xff").ok());
  EXPECT_FALSE(canonical_name(std::string(1 << 20, '/')).ok());
}

}  // namespace
}  // namespace depot::solve

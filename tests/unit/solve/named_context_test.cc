#include "solve/named_context.h"

#include <gtest/gtest.h>

#include <filesystem>

namespace depot::solve {
namespace {

using base::Code;

TEST(NamedContext, NamesAreThoseOfTheFrontend) {
  const std::pair<const char*, const char*> table[] = {
      {"base", "base"},
      {"alpine:latest", "alpine"},
      {"alpine:3", "alpine:3"},
      {"docker.io/library/alpine", "alpine"},
      {"docker.io/library/alpine:3", "alpine:3"},
      {"index.docker.io/user/app", "user/app"},
      {"registry.test/app:latest", "registry.test/app"},
      {"registry.test:5000/app", "registry.test:5000/app"},
      {"alpine::linux/arm64", "alpine::linux/arm64"},
      {"docker.io/library/alpine:latest::linux/arm64/v8", "alpine::linux/arm64"},
      {"x::Linux/aarch64", "x::linux/arm64"},
      {"x::linux/x86_64", "x::linux/amd64"},
      {"x::linux/amd64/v2", "x::linux/amd64/v2"},
      {"x::linux/arm", "x::linux/arm/v7"},
      {"x::linux/arm/6", "x::linux/arm/v6"},
      {"x::linux/armhf", "x::linux/arm/v7"},
      {"x::linux/i386", "x::linux/386"},
  };
  for (const auto& [name, key] : table) {
    auto found = context_name(name);
    ASSERT_TRUE(found.ok()) << name << ": " << found.status().message();
    EXPECT_EQ(*found, key) << name;
  }
  for (const char* wrong :
       {"", "Upper", "a b", "::linux/amd64", "x::", "x::linux/", "x::linux/a/b/c", "x::linux/a m",
        "x::/amd64", "../x", "x::linux/amd64/"}) {
    auto found = context_name(wrong);
    ASSERT_FALSE(found.ok()) << wrong << ": " << *found;
    EXPECT_EQ(found.status().code(), Code::kInvalidArgument);
  }
}

TEST(NamedContext, LayoutsAreReadAsBuildxReadsThem) {
  const std::string digest = "sha256:" + std::string(64, 'a');
  struct {
    std::string text, dir, tag, digest;
  } table[] = {
      {"oci-layout:///path/to/oci/layout", "/path/to/oci/layout", "latest", ""},
      {"oci-layout:///path/to/oci/layout:1.3", "/path/to/oci/layout", "1.3", ""},
      {"oci-layout:///path@" + digest, "/path", "", digest},
      {"oci-layout:///path:v1@" + digest, "/path", "v1", digest},
      {"oci-layout:///path/@/layout@" + digest, "/path/@/layout", "", digest},
      {"oci-layout:///path/@/layout", "/path/@/layout", "latest", ""},
      {"oci-layout://a:1.3", "a", "1.3", ""},
      {"oci-layout://./a:b/c", "./a:b/c", "latest", ""},
      {"oci-layout://a@b", "a@b", "latest", ""},
      {"oci-layout://a@b:v1", "a@b", "v1", ""},
  };
  for (const auto& row : table) {
    auto ref = parse_layout_ref(row.text);
    ASSERT_TRUE(ref.ok() && *ref) << row.text;
    EXPECT_EQ((*ref)->dir, row.dir) << row.text;
    EXPECT_EQ((*ref)->tag, row.tag) << row.text;
    EXPECT_EQ((*ref)->digest ? (*ref)->digest->text() : "", row.digest) << row.text;
  }
  EXPECT_FALSE(*parse_layout_ref("/a/directory"));
  EXPECT_FALSE(parse_layout_ref("oci-layout://").ok());
  EXPECT_FALSE(parse_layout_ref("oci-layout://x@sha256:1").ok());
}

TEST(NamedContext, BecomesAttributes) {
  Request request;
  std::string dir = std::filesystem::temp_directory_path().string();
  ASSERT_TRUE(
      request.add_build_context("docker.io/library/alpine:latest", "docker-image://a/b:c").ok());
  ASSERT_TRUE(request.add_build_context("more", dir).ok());
  ASSERT_TRUE(request.add_build_context("context", dir).ok());
  ASSERT_TRUE(request.add_build_context("web", "https://example.test/x.tar").ok());
  ASSERT_TRUE(request.add_build_context("git", "https://example.test/x.git?ref=main").ok());
  EXPECT_EQ(request.add_build_context("alpine", dir).code(), Code::kInvalidArgument) << "twice";
  auto ready = prepare(request);
  ASSERT_TRUE(ready.ok()) << ready.status().message();
  std::string base = std::filesystem::path(dir).filename().string();
  const std::map<std::string, std::string> expected = {
      {"context:alpine", "docker-image://a/b:c"},
      {"context:more", "local:more"},
      {"sharedkey:localdir:more", base},
      {"context:context", "local:_context"},
      {"sharedkey:localdir:context", base},
      {"context:web", "https://example.test/x.tar"},
      {"context:git", "https://example.test/x.git?ref=main"},
      {"frontend.caps",
       "moby.buildkit.frontend.contexts+forward,moby.buildkit.frontend.gitquerystring+forward"},
  };
  EXPECT_EQ(ready->attrs, expected);
  EXPECT_EQ(ready->locals, (std::map<std::string, std::string>{{"_context", dir}, {"more", dir}}));
  EXPECT_TRUE(request.attrs.empty()) << "a request may be used again";
  request.locals["more"] = "/";
  EXPECT_EQ(prepare(request).status().code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace depot::solve

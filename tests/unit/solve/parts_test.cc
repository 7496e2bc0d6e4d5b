#include "solve/parts.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace depot::solve {
namespace {

using base::Code;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

Request pushing() {
  Request request;
  EXPECT_TRUE(request.add_tag("localhost:5000/app:1").ok());
  EXPECT_TRUE(request.add_tag("localhost:5000/app:2").ok());
  EXPECT_TRUE(request.add_tag("other").ok());
  request.push = true;
  return request;
}

// What becomes of it when the machine prepares it.
Request part(const Request& request) {
  auto ready = prepare(request);
  EXPECT_TRUE(ready.ok()) << ready.status().message();
  auto again = prepare(part_of(request, *ready, {"linux/arm64", "linux/arm/v7"}));
  EXPECT_TRUE(again.ok()) << again.status().message();
  return *again;
}

TEST(Parts, PushByDigestToEachRepositoryOnce) {
  Request request = pushing();
  request.annotations["annotation.inside"] = "x";
  ASSERT_TRUE(request.add_output("type=local,dest=" + ::testing::TempDir()).ok());
  Request made = part(request);
  EXPECT_EQ(made.attrs["platform"], "linux/arm64,linux/arm/v7");
  EXPECT_EQ(made.attrs["multi-platform"], "true");
  ASSERT_EQ(made.exports.size(), 2U);
  EXPECT_EQ(made.exports[0].type, "local");
  auto& attrs = made.exports[1].attrs;
  EXPECT_EQ(attrs["name"], "localhost:5000/app,docker.io/library/other");
  EXPECT_EQ(attrs["push-by-digest"], "true");
  EXPECT_EQ(attrs["push"], "true");
  EXPECT_EQ(attrs["annotation.inside"], "x");
}

TEST(Parts, WhatIsNotPushedKeepsItsName) {
  Request request = pushing();
  request.push = false;
  Request made = part(request);
  ASSERT_EQ(made.exports.size(), 1U);
  EXPECT_THAT(made.exports[0].attrs["name"], HasSubstr("app:1"));
  EXPECT_FALSE(made.exports[0].attrs.contains("push-by-digest"));
  EXPECT_TRUE(part(Request()).exports.empty());
}

TEST(Parts, TheWholeHasTheNames) {
  Request request = pushing();
  request.annotations["annotation-index.title"] = "app";
  auto ready = prepare(request);
  ASSERT_TRUE(ready.ok());
  auto image = joined_image(*ready);
  ASSERT_TRUE(image.ok());
  ASSERT_TRUE(image->has_value());
  EXPECT_THAT((*image)->names, ElementsAre("localhost:5000/app:1", "localhost:5000/app:2",
                                           "docker.io/library/other:latest"));
  EXPECT_EQ((*image)->attrs["annotation-index.title"], "app");
  EXPECT_FALSE((*image)->insecure);
  EXPECT_FALSE((*image)->by_digest);
}

TEST(Parts, AttributesOfTheExportCount) {
  Request request;
  ASSERT_TRUE(request
                  .add_output("type=registry,name=localhost:1/app,registry.insecure=true,"
                              "push-by-digest=true")
                  .ok());
  auto image = joined_image(*prepare(request));
  ASSERT_TRUE(image.ok());
  EXPECT_TRUE((*image)->insecure);
  EXPECT_TRUE((*image)->by_digest);
  EXPECT_THAT((*image)->names, ElementsAre("localhost:1/app:latest"));

  Request named;
  ASSERT_TRUE(named.add_output("type=registry,push-by-digest=true").ok());
  EXPECT_EQ(joined_image(*prepare(named)).status().code(), Code::kInvalidArgument) << "no name";
  Request digest;
  ASSERT_TRUE(
      digest.add_output("type=registry,name=localhost:1/app@sha256:" + std::string(64, 'a')).ok());
  EXPECT_EQ(joined_image(*prepare(digest)).status().code(), Code::kInvalidArgument);
  EXPECT_FALSE(joined_image(Request())->has_value());
}

TEST(Parts, SomeExportsCannotBeDivided) {
  auto folder = ::testing::TempDir();
  for (const std::string& spec :
       {"type=oci,dest=" + folder + "/a.tar", "type=docker,dest=" + folder + "/a.tar",
        "type=tar,dest=" + folder + "/a.tar", "type=local,mode=delete,dest=" + folder,
        "type=local,platform-split=false,dest=" + folder}) {
    Request request;
    ASSERT_TRUE(request.add_output(spec).ok()) << spec;
    auto ready = prepare(request);
    ASSERT_TRUE(ready.ok()) << ready.status().message();
    auto refused = check_divisible(*ready);
    EXPECT_EQ(refused.code(), Code::kInvalidArgument) << spec;
    EXPECT_THAT(refused.error().hint, HasSubstr("one machine")) << spec;
  }
  Request two = pushing();
  ASSERT_TRUE(two.add_output("type=registry,name=localhost:1/a").ok());
  ASSERT_TRUE(two.add_output("type=registry,name=localhost:1/b").ok());
  EXPECT_EQ(check_divisible(*prepare(two)).code(), Code::kInvalidArgument);

  Request fine = pushing();
  ASSERT_TRUE(fine.add_output("type=local,dest=" + folder).ok());
  ASSERT_TRUE(fine.add_output("type=image").ok());
  EXPECT_TRUE(check_divisible(*prepare(fine)).ok());
}

}  // namespace
}  // namespace depot::solve

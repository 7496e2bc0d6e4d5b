#include "solve/platform.h"

#include <gtest/gtest.h>

namespace depot::solve {
namespace {

TEST(Platform, IsWrittenAsContainerdWritesIt) {
  const std::pair<const char*, const char*> table[] = {
      {"linux/amd64", "linux/amd64"},
      {"linux/x86_64", "linux/amd64"},
      {"Linux/AMD64/v1", "linux/amd64"},
      {"linux/amd64/v3", "linux/amd64/v3"},
      {"linux/arm64", "linux/arm64"},
      {"linux/arm64/v8", "linux/arm64"},
      {"linux/aarch64/9", "linux/arm64/v9"},
      {"arm64", "linux/arm64"},
      {"aarch64", "linux/arm64"},
      {"x86-64", "linux/amd64"},
      {"i386", "linux/386"},
      {"linux/arm", "linux/arm/v7"},
      {"linux/armhf", "linux/arm/v7"},
      {"armel", "linux/arm/v6"},
      {"linux/arm/6", "linux/arm/v6"},
      {"s390x", "linux/s390x"},
      {"windows/amd64", "windows/amd64"},
      {"windows(10.0.17763)/amd64", "windows(10.0.17763)/amd64"},
      {"windows(10.0.17763+win32k)/amd64", "windows(10.0.17763+win32k)/amd64"},
      {"macos/arm64", "darwin/arm64"},
      {"plan10/mips5", "plan10/mips5"},  // not known, but complete
  };
  for (const auto& [text, normal] : table) {
    auto platform = canonical_platform(text);
    ASSERT_TRUE(platform.ok()) << text << ": " << platform.status().message();
    EXPECT_EQ(*platform, normal) << text;
    EXPECT_EQ(*canonical_platform(normal), normal);
  }
  EXPECT_EQ(*canonical_platform("local"), *canonical_platform("linux"));
}

TEST(Platform, ThatIsMalformedIsRefused) {
  for (const char* text :
       {"", "/", "linux/", "/amd64", "linux//v7", "linux/amd64/v1/x", "linux/a/b/c/d",
        "linux/am d64", "linux/amd64*", "*", "nonsense", "linux(/amd64", "linux()x/amd64",
        "windows(10.0+)/amd64", "windows(a b)/amd64", "linux/amd64,"}) {
    auto platform = canonical_platform(text);
    ASSERT_FALSE(platform.ok()) << text << " became " << *platform;
    EXPECT_EQ(platform.status().code(), base::Code::kInvalidArgument);
  }
}

TEST(Platform, ListsKeepTheirOrder) {
  EXPECT_EQ(*canonical_platforms("linux/arm64/v8,x86_64"), "linux/arm64,linux/amd64");
  EXPECT_FALSE(canonical_platforms("linux/arm64,").ok());
  EXPECT_FALSE(canonical_platforms(",linux/arm64").ok());
}

}  // namespace
}  // namespace depot::solve

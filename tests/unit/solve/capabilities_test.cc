#include "solve/capabilities.h"

#include <gtest/gtest.h>

namespace depot::solve {
namespace {

using base::Code;

std::vector<buildkit::Worker> workers(std::initializer_list<const char*> versions) {
  std::vector<buildkit::Worker> out;
  for (const char* version : versions) out.emplace_back().buildkit_version = version;
  return out;
}

Request with_exports(size_t count) {
  Request request;
  for (size_t i = 0; i < count; ++i) request.exports.push_back({"image", {}, "", nullptr});
  return request;
}

TEST(Capabilities, PlainBuildNeedsNothing) {
  Request request = with_exports(1);
  request.attrs = {{"target", "x"}, {"build-arg:hostname", "not the attribute"}};
  EXPECT_TRUE(needs(request).empty());
  EXPECT_TRUE(check_builder({}, {}).ok());
}

TEST(Capabilities, SeveralExportsSince013) {
  auto wanted = needs(with_exports(2));
  ASSERT_EQ(wanted.size(), 1u);
  EXPECT_TRUE(check_builder(wanted, workers({"v0.13.0"})).ok());
  EXPECT_TRUE(check_builder(wanted, workers({"1.0"})).ok());
  for (const char* old : {"v0.12.5", "0.11.6-depot.4", ""}) {
    base::Status status = check_builder(wanted, workers({"v0.34.2", old}));
    EXPECT_EQ(status.code(), Code::kFailedPrecondition) << old;
    EXPECT_NE(status.message().find("2 exports of one build: BuildKit can since 0.13"),
              std::string::npos)
        << status.message();
  }
}

TEST(Capabilities, OwnBuildsCountAsNew) {
  auto wanted = needs(with_exports(2));
  EXPECT_TRUE(check_builder(wanted, workers({"v0.0.0+unknown"})).ok());
  EXPECT_TRUE(check_builder(wanted, workers({"main-20260101"})).ok());
}

TEST(Capabilities, AttributesOfTheBuiltinFrontend) {
  Request request;
  request.attrs = {{"memory", "1000000"}, {"attest:sbom", ""}, {"hostname", "h"}};
  EXPECT_EQ(needs(request).size(), 3u);
  EXPECT_TRUE(check_builder(needs(request), workers({"v0.31.0"})).ok());
  EXPECT_NE(check_builder(needs(request), workers({"v0.30.1"})).message().find("resource limits"),
            std::string::npos);
  request.frontend = "gateway.v0";
  EXPECT_TRUE(needs(request).empty());
}

TEST(Capabilities, TheDefaultProvenanceMayBeMissing) {
  Request request;
  request.default_attestations = true;
  auto ready = prepare(request);
  ASSERT_TRUE(ready.ok() && ready->attrs.contains("attest:provenance"));
  EXPECT_TRUE(needs(*ready).empty());
  request.attestations["provenance"] = "mode=min";
  EXPECT_EQ(needs(*prepare(request)).size(), 1u);
}

}  // namespace
}  // namespace depot::solve

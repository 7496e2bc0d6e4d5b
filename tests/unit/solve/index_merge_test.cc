// Against the indexes that docker buildx made of the same sources: merges.py recorded them.
#include "solve/index_merge.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fstream>
#include <nlohmann/json.hpp>

#include "content/digest.h"

namespace depot::solve {
namespace {

using base::Code;
using nlohmann::json;
using ::testing::HasSubstr;

std::vector<MergeSource> sources_of(const json& recorded) {
  std::vector<MergeSource> sources;
  for (const auto& one : recorded["sources"])
    sources.push_back({one["descriptor"], one["bytes"], one["config"]});
  return sources;
}

json recorded() {
  std::ifstream file(MERGES);
  return json::parse(file);
}

TEST(IndexMerge, IsByteForByteThatOfBuildx) {
  json all = recorded();
  ASSERT_GE(all.size(), 12U);
  for (const auto& one : all) {
    SCOPED_TRACE(one["name"].get<std::string>());
    auto merged = merge_indexes(sources_of(one), one["attrs"]);
    ASSERT_TRUE(merged.ok()) << merged.status().message();
    EXPECT_EQ(merged->bytes, one["merged"].get<std::string>());
    EXPECT_EQ(merged->digest, content::digest_of(merged->bytes).text());
    json descriptor = json::parse(merged->descriptor);
    EXPECT_EQ(descriptor["digest"], merged->digest);
    EXPECT_EQ(descriptor["mediaType"], merged->media_type);
    EXPECT_EQ(descriptor["size"], merged->bytes.size());
    EXPECT_EQ(json::parse(merged->bytes)["mediaType"], merged->media_type);
  }
}

TEST(IndexMerge, AManifestWithoutAPlatformNeedsItsConfig) {
  for (const auto& one : recorded()) {
    for (auto& source : sources_of(one)) {
      auto config = config_of(source);
      ASSERT_TRUE(config.ok());
      EXPECT_EQ(config->has_value(), !source.config.empty());
      if (!config->has_value()) continue;
      EXPECT_EQ((*config)->digest, content::digest_of(source.config).text());
      source.config = "";
      EXPECT_EQ(merge_indexes({source}, {}).status().code(), Code::kDataLoss);
    }
  }
}

TEST(IndexMerge, ASourceWhoseDescriptorHasADigestAloneIsLookedAt) {
  MergeSource source;
  source.bytes = R"({"schemaVersion":2,"mediaType":"application/vnd.oci.image.index.v1+json",)"
                 R"("manifests":[{"mediaType":"a","digest":"sha256:)" +
                 std::string(64, 'b') + R"(","size":3}]})";
  source.descriptor = R"({"digest":")" + content::digest_of(source.bytes).text() + "\"}";
  auto merged = merge_indexes({source, source}, {});
  ASSERT_TRUE(merged.ok()) << merged.status().message();
  EXPECT_THAT(merged->bytes, HasSubstr("\"digest\": \"sha256:bbbb"));
}

TEST(IndexMerge, WhatMakesNoSenseIsRefused) {
  const std::string digest = "sha256:" + std::string(64, 'a');
  auto of = [&](const std::string& bytes) {
    MergeSource source;
    source.descriptor =
        R"({"mediaType":"application/vnd.oci.image.index.v1+json","size":1,"digest":")" + digest +
        "\"}";
    source.bytes = bytes;
    return merge_indexes({source, source}, {}).status().code();
  };
  EXPECT_EQ(of(R"({"manifests":[]})"), Code::kOk);
  EXPECT_EQ(of("{}"), Code::kOk);
  for (const std::string bytes :
       {"", "[]", "{", R"({"manifests":{}})", R"({"manifests":[1]})", R"({"manifests":[{}]})",
        R"({"manifests":[{"digest":"../x"}]})", R"({"manifests":[{"digest":1}]})"})
    EXPECT_EQ(of(bytes), Code::kDataLoss) << bytes;
  const std::string entry = R"({"manifests":[{"digest":")" + digest + "\",";
  for (const std::string rest :
       {R"("size":"1"}]})", R"("size":1.5}]})", R"("annotations":{"a":1}}]})",
        R"("platform":"linux"}]})", R"("urls":[1]}]})"})
    EXPECT_EQ(of(entry + rest), Code::kDataLoss) << rest;
  EXPECT_EQ(of(std::string(100000, '[')), Code::kDataLoss) << "deep";
  EXPECT_EQ(merge_indexes({{"nothing", "", ""}}, {}).status().code(), Code::kDataLoss);
  EXPECT_EQ(
      merge_indexes(
          {{R"({"digest":")" + digest + "\"}", R"({"schemaVersion":1,"fsLayers":[]})", ""}}, {})
          .status()
          .code(),
      Code::kDataLoss);
}

}  // namespace
}  // namespace depot::solve

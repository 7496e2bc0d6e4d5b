#include "solve/cache.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "solve/aws.h"

namespace depot::solve {
namespace {

namespace fs = std::filesystem;
using base::Code;
using Attrs = std::map<std::string, std::string>;

// All attributes of an entry, keys too.
Attrs all_of(const CacheEntry& entry) {
  Attrs all = entry.attrs;
  for (const auto& [key, value] : entry.secrets) all.emplace(key, value.reveal());
  return all;
}

base::Environment environment(std::map<std::string, std::string, std::less<>> values) {
  return base::Environment(std::move(values));
}

TEST(Cache, ReadsWhatBuildxReads) {
  struct {
    const char* spec;
    const char* type;
    Attrs attrs;
  } table[] = {
      {"type=registry,ref=user/app:cache", "registry", {{"ref", "user/app:cache"}}},
      {"user/app", "registry", {{"ref", "user/app"}}},
      {"TYPE=local,Src=dir", "local", {{"src", "dir"}}},
      {"src=dir,type=local,tag=v1", "local", {{"src", "dir"}, {"tag", "v1"}}},
      {"type=local,\"src=a,b=\"\"c\"", "local", {{"src", "a,b=\"c"}}},
      {"type=gha,token=t,url=u", "gha", {{"token", "t"}, {"url", "u"}}},
      {"type=s3,region=r,bucket=b,secret_access_key=k=",
       "s3",
       {{"region", "r"}, {"bucket", "b"}, {"secret_access_key", "k="}}},
      {"type=azblob,account_url=u,whatever=", "azblob", {{"account_url", "u"}, {"whatever", ""}}},
  };
  for (const auto& [spec, type, attrs] : table) {
    auto entries = parse_cache_from(spec);
    ASSERT_TRUE(entries.ok()) << spec << ": " << entries.status().message();
    ASSERT_EQ(entries->size(), 1u) << spec;
    EXPECT_EQ((*entries)[0].type, type) << spec;
    EXPECT_EQ(all_of((*entries)[0]), attrs) << spec;
  }
  auto several = parse_cache_from("user/a,\"user/b:1\"");
  ASSERT_TRUE(several.ok());
  ASSERT_EQ(several->size(), 2u);
  EXPECT_EQ((*several)[1].attrs.at("ref"), "user/b:1");
  EXPECT_TRUE(parse_cache_from("")->empty());
  EXPECT_EQ((*parse_cache_to("type=inline"))[0].type, "inline");
}

TEST(Cache, RefusesWhatCannotBeMeant) {
  for (const char* spec : {"type=nonsense",
                           "ref=x",
                           "type=registry",
                           "type=registry,ref=",
                           "type=registry,ref=UPPER:",
                           "type=local",
                           "type=local,dest=x",
                           "type=local,src=",
                           "type=inline",
                           "type=local,src=x,src=y",
                           "type=local,type=gha,src=x",
                           "type=local,src=x,digest=sha256:1",
                           "type=local,src=x,tag=",
                           "type=local,src=x,",
                           "type=gha,mode=all",
                           "type=s3,ignore-error=perhaps",
                           "type=local,\"src=x",
                           "user/app,UPPER",
                           ",",
                           "type=local,src=x,=y"}) {
    auto entries = parse_cache_from(spec);
    ASSERT_FALSE(entries.ok()) << spec;
    EXPECT_EQ(entries.status().code(), Code::kInvalidArgument) << spec;
    EXPECT_TRUE(entries.status().message().starts_with("cache import"))
        << entries.status().message();
  }
  for (const char* spec :
       {"type=local,src=x", "type=local,dest=x,reset=2", "type=local,dest=x,mode=MAX"})
    EXPECT_FALSE(parse_cache_to(spec).ok()) << spec;
}

TEST(Cache, ErrorsQuoteNoKeys) {
  for (const char* spec :
       {"type=s3,secret_access_key=\"hunter2", "type=s3,secret_access_key=x,hunter2",
        "token=hunter2", "type=gha,token=hunter2,token=hunter2",
        "type=s3,secret_access_key=a\"hunter2"}) {
    auto entries = parse_cache_to(spec);
    ASSERT_FALSE(entries.ok()) << spec;
    EXPECT_EQ(entries.status().message().find("hunter2"), std::string::npos)
        << entries.status().message();
  }
}

TEST(Cache, KeysAreSecrets) {
  auto entry = (*parse_cache_to("type=s3,access_key_id=a,secret_access_key=b,session_token=c"))[0];
  EXPECT_TRUE(entry.attrs.empty());
  EXPECT_EQ(entry.secrets.size(), 3u);
}

// As encoding/json of Go writes []*CacheOptionsEntry.
TEST(Cache, ImportsAreToldToTheFrontendAsGoWritesThem) {
  std::vector<CacheEntry> entries;
  entries.push_back({"registry", {{"ref", "a/b:c"}, {"b", "<&>\xe2\x80\xa8\"\\\n"}}, {}});
  entries.push_back({"gha", {{"url", "u"}}, {}});
  entries[1].secrets.emplace("token", base::Secret("t"));
  entries.push_back({"inline", {}, {}});
  EXPECT_EQ(cache_imports_json(entries).reveal(),
            R"([{"Type":"registry","Attrs":{"b":"\u003c\u0026\u003e\u2028\"\\\n","ref":"a/b:c"}},)"
            R"({"Type":"gha","Attrs":{"token":"t","url":"u"}},{"Type":"inline"}])");
}

Attrs prepared(const std::string& spec, std::map<std::string, std::string, std::less<>> values) {
  Request request;
  EXPECT_TRUE(request.add_cache_from(spec).ok());
  EXPECT_TRUE(prepare_cache(request, environment(std::move(values))).ok());
  EXPECT_EQ(request.cache_from.size() + request.warnings.size(), 1u);
  return request.cache_from.empty() ? Attrs{{"left", "out"}} : all_of(request.cache_from[0]);
}

TEST(Cache, WhatARunnerTellsItsSteps) {
  const Attrs kLeftOut = {{"left", "out"}};
  EXPECT_EQ(prepared("type=gha", {}), kLeftOut);
  EXPECT_EQ(prepared("type=gha", {{"ACTIONS_RUNTIME_TOKEN", "t"}}), kLeftOut);
  EXPECT_EQ(prepared("type=gha", {{"ACTIONS_CACHE_URL", "u"}}), kLeftOut);
  EXPECT_EQ(prepared("type=gha", {{"ACTIONS_RUNTIME_TOKEN", "t"}, {"ACTIONS_CACHE_URL", "u"}}),
            (Attrs{{"token", "t"}, {"url", "u"}}));
  EXPECT_EQ(prepared("type=gha", {{"ACTIONS_RUNTIME_TOKEN", "t"}, {"ACTIONS_RESULTS_URL", "r"}}),
            (Attrs{{"token", "t"}, {"url", "r"}}));
  EXPECT_EQ(prepared("type=gha,scope=s", {{"ACTIONS_RUNTIME_TOKEN", "t"},
                                          {"ACTIONS_RESULTS_URL", "r"},
                                          {"ACTIONS_CACHE_URL", "u"},
                                          {"ACTIONS_CACHE_SERVICE_V2", "True"}}),
            (Attrs{{"scope", "s"}, {"token", "t"}, {"url", "u"}, {"url_v2", "r"}}));
  EXPECT_EQ(prepared("type=gha,version=1,token=own", {{"ACTIONS_RUNTIME_TOKEN", "t"},
                                                      {"ACTIONS_RESULTS_URL", "r"},
                                                      {"ACTIONS_CACHE_SERVICE_V2", "1"}}),
            (Attrs{{"version", "1"}, {"token", "own"}, {"url", "r"}}));
}

TEST(Cache, KeysOfAws) {
  EXPECT_EQ(prepared("type=s3", {{"AWS_ACCESS_KEY_ID", "a"}, {"AWS_SECRET_ACCESS_KEY", "b"}}),
            (Attrs{{"access_key_id", "a"}, {"secret_access_key", "b"}}));
  EXPECT_EQ(
      prepared("type=s3",
               {{"AWS_ACCESS_KEY", "a"}, {"AWS_SECRET_KEY", "b"}, {"AWS_SESSION_TOKEN", "c"}}),
      (Attrs{{"access_key_id", "a"}, {"secret_access_key", "b"}, {"session_token", "c"}}));
  // A key of one's own is not mixed with a session of another.
  EXPECT_EQ(prepared("type=s3,access_key_id=x,secret_access_key=y", {{"AWS_ACCESS_KEY_ID", "a"},
                                                                     {"AWS_SECRET_ACCESS_KEY", "b"},
                                                                     {"AWS_SESSION_TOKEN", "c"}}),
            (Attrs{{"access_key_id", "x"}, {"secret_access_key", "y"}}));
  EXPECT_EQ(prepared("type=s3,bucket=b", {{"AWS_ACCESS_KEY_ID", "a"}}), (Attrs{{"bucket", "b"}}));
}

TEST(Cache, AProfileOfAws) {
  const char* text =
      "# comment\n[default]\naws_access_key_id = a\r\naws_secret_access_key=b\n\n; another\n"
      "[ ci ]\naws_access_key_id=c\naws_secret_access_key = d=\naws_session_token=e\n[half]\n"
      "aws_access_key_id=f\n[no bracket\nnonsense\n";
  auto found = aws_profile(text, "default");
  ASSERT_TRUE(found);
  EXPECT_EQ(found->access_key_id.reveal(), "a");
  EXPECT_EQ(found->secret_access_key.reveal(), "b");
  EXPECT_TRUE(found->session_token.empty());
  EXPECT_EQ(aws_profile(text, "ci")->secret_access_key.reveal(), "d=");
  EXPECT_EQ(aws_profile(text, "ci")->session_token.reveal(), "e");
  EXPECT_FALSE(aws_profile(text, "half"));
  EXPECT_FALSE(aws_profile(text, "none"));
  EXPECT_FALSE(aws_profile("", "default"));
}

class LocalCaches : public testing::Test {
 protected:
  void SetUp() override {
    char name[] = "/tmp/depot-cache-XXXXXX";
    ASSERT_NE(::mkdtemp(name), nullptr);
    dir_ = name;
  }
  void TearDown() override { fs::remove_all(dir_); }
  std::string dir_;
};

TEST_F(LocalCaches, AreStoresOfTheirExactNames) {
  Request request;
  std::string odd = dir_ + "/./a//b";
  ASSERT_TRUE(request.add_cache_to("type=local,dest=" + odd).ok());
  ASSERT_TRUE(request.add_cache_from("type=local,src=" + dir_ + "/none").ok());
  auto ready = prepare(request);
  ASSERT_TRUE(ready.ok()) << ready.status().message();
  EXPECT_TRUE(ready->stores.contains("local:" + odd));
  EXPECT_EQ(ready->stores.size(), 1u);
  EXPECT_TRUE(ready->cache_from.empty());
  ASSERT_EQ(ready->warnings.size(), 1u);
  EXPECT_TRUE(fs::is_directory(dir_ + "/a/b"));
  EXPECT_FALSE(fs::exists(dir_ + "/none"));
  EXPECT_TRUE(request.stores.empty()) << "a request may be used again";
  ASSERT_TRUE(request.add_cache_to("type=local,tag=other,dest=" + odd).ok());
  EXPECT_EQ(prepare(request).status().code(), Code::kInvalidArgument) << "two to one directory";
}

TEST_F(LocalCaches, TheInlineCacheOfABuildArgumentComesOnce) {
  Request request;
  request.attrs["build-arg:BUILDKIT_INLINE_CACHE"] = "1";
  EXPECT_EQ(prepare(request)->cache_to.size(), 1u);
  ASSERT_TRUE(request.add_cache_to("type=inline").ok());
  EXPECT_EQ(prepare(request)->cache_to.size(), 1u);
  request.cache_to.clear();
  request.attrs["build-arg:BUILDKIT_INLINE_CACHE"] = "0";
  EXPECT_TRUE(prepare(request)->cache_to.empty());
}

TEST_F(LocalCaches, AManifestThatIsNotThereIsAnError) {
  Request request;
  ASSERT_TRUE(request.add_cache_to("type=local,dest=" + dir_).ok());
  const std::string manifest = R"({"mediaType":"application/vnd.oci.image.manifest.v1+json",)"
                               R"("digest":"sha256:)" +
                               std::string(64, '0') + R"(","size":2})";
  auto finish = [&](const std::string& text) {
    auto ready = prepare(request);
    EXPECT_TRUE(ready.ok());
    return finish_cache(*ready, text, base::Cancel::never(), nullptr).code();
  };
  EXPECT_EQ(finish(manifest), Code::kDataLoss);
  EXPECT_EQ(finish("{}"), Code::kInternal);
  EXPECT_EQ(finish(""), Code::kOk) << "there was nothing to keep";
  request.cache_to[0].attrs["ignore-error"] = "true";
  EXPECT_EQ(finish(manifest), Code::kOk);
  EXPECT_FALSE(fs::exists(dir_ + "/index.json"));
}

}  // namespace
}  // namespace depot::solve

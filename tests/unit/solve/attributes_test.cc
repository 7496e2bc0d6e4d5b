#include "solve/attributes.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace depot::solve {
namespace {

using base::Code;
using base::Hop;
using Attrs = std::map<std::string, std::string>;
using testing::ElementsAre;
using testing::HasSubstr;

// A request of nothing but attributes, as it goes to the builder.
Request ready(Request request) {
  auto prepared = prepare(std::move(request));
  EXPECT_TRUE(prepared.ok()) << prepared.status().message();
  return prepared.ok() ? std::move(*prepared) : Request();
}

void expect_refused(const base::Status& status, const std::string& what) {
  ASSERT_FALSE(status.ok()) << what;
  EXPECT_EQ(status.code(), Code::kInvalidArgument) << what;
  EXPECT_EQ(status.hop(), Hop::kUsage) << what;
  EXPECT_EQ(status.message().find('\n'), std::string::npos) << what;
}

TEST(Attributes, GoByTheFrontendsNames) {
  Request request;
  ASSERT_TRUE(set_build_arg(request, "A", "x=1").ok());
  ASSERT_TRUE(set_label(request, "org.example", "").ok());
  ASSERT_TRUE(set_platform(request, "x86_64,linux/arm64/v8").ok());
  ASSERT_TRUE(add_no_cache_filter(request, "one,two").ok());
  ASSERT_TRUE(add_no_cache_filter(request, "three").ok());
  set_pull(request, true);
  ASSERT_TRUE(set_network(request, "none").ok());
  ASSERT_TRUE(set_shm_size(request, "64m").ok());
  ASSERT_TRUE(add_ulimit(request, "nofile=5").ok());
  ASSERT_TRUE(add_ulimit(request, "core=0:-1").ok());
  ASSERT_TRUE(add_ulimit(request, "nofile=6:7").ok());
  ASSERT_TRUE(add_resource(request, "cpu-quota=5").ok());
  ASSERT_TRUE(set_cgroup_parent(request, "/group").ok());
  Attrs expected = {{"build-arg:A", "x=1"},
                    {"label:org.example", ""},
                    {"platform", "linux/amd64,linux/arm64"},
                    {"no-cache", "one,two,three"},
                    {"image-resolve-mode", "pull"},
                    {"force-network-mode", "none"},
                    {"shm-size", "67108864"},
                    {"ulimit", "core=0:-1,nofile=6:7"},
                    {"cpuquota", "5"},
                    {"cgroup-parent", "/group"}};
  EXPECT_EQ(ready(request).attrs, expected);
}

TEST(Attributes, OfADefaultAreNotSent) {
  Request request;
  set_pull(request, true);
  set_pull(request, false);
  ASSERT_TRUE(set_network(request, "host").ok());
  ASSERT_TRUE(set_network(request, "default").ok());
  ASSERT_TRUE(set_shm_size(request, "5").ok());
  ASSERT_TRUE(set_shm_size(request, "0").ok());
  ASSERT_TRUE(add_resource(request, "memory=5").ok());
  ASSERT_TRUE(add_resource(request, "memory=0").ok());
  Request sent = ready(request);
  EXPECT_EQ(sent.attrs, Attrs());
  EXPECT_TRUE(sent.entitlements.empty());
}

TEST(Attributes, ThatAreWrongAreRefused) {
  Request request;
  expect_refused(set_build_arg(request, "", "x"), "build-arg");
  expect_refused(set_build_arg(request, "A=B", "x"), "build-arg with =");
  expect_refused(set_label(request, "", "x"), "label");
  expect_refused(set_platform(request, ""), "platform");
  expect_refused(set_platform(request, "linux/amd64,x/"), "platform list");
  expect_refused(add_no_cache_filter(request, "a,,b"), "no-cache-filter");
  expect_refused(add_no_cache_filter(request, ""), "no-cache-filter of nothing");
  expect_refused(set_network(request, "bridge"), "network");
  expect_refused(set_shm_size(request, "many"), "shm-size");
  expect_refused(add_ulimit(request, "nofile"), "ulimit");
  expect_refused(add_resource(request, "disk=5"), "resource");
  expect_refused(set_build_arg(request, "BUILDKIT_SYNTAX", " "), "syntax");
  for (const char* epoch : {"-1", "1.5", "12x", "99999999999999999999"})
    expect_refused(set_build_arg(request, "SOURCE_DATE_EPOCH", epoch), epoch);
  EXPECT_TRUE(set_build_arg(request, "SOURCE_DATE_EPOCH", "context").ok());
  EXPECT_EQ(request.attrs, Attrs({{"build-arg:SOURCE_DATE_EPOCH", "context"}}));
}

TEST(Attributes, NoCacheOfAllAndOfSomeExcludeEachOther) {
  Request request;
  request.attrs["no-cache"] = "";
  ASSERT_TRUE(add_no_cache_filter(request, "stage").ok());
  expect_refused(prepare(request).status(), "both");
}

TEST(Attributes, AnEpochThatIsANumberIsForTheExportsToo) {
  for (const char* epoch : {"17", "context"}) {
    Request request;
    ASSERT_TRUE(request.add_output("type=oci,dest=x").ok());
    ASSERT_TRUE(set_build_arg(request, "SOURCE_DATE_EPOCH", epoch).ok());
    EXPECT_EQ(ready(request).exports[0].attrs.contains("source-date-epoch"), epoch[0] == '1');
  }
}

TEST(Hosts, AreReadAsDockerReadsThem) {
  const std::pair<const char*, const char*> table[] = {
      {"db:10.0.0.7", "db=10.0.0.7"},
      {"db=10.0.0.7", "db=10.0.0.7"},
      {"db:::1", "db=::1"},
      {"db=::1", "db=::1"},
      {"db:[::1]", "db=::1"},
      {"db:[10.0.0.7]", "db=10.0.0.7"},
      {"db=10.0.0.7,10.0.0.8", "db=10.0.0.7,db=10.0.0.8"},
      {"db:10.0.0.7,cache:10.0.0.8", "db=10.0.0.7,cache=10.0.0.8"},
      {"db=10.0.0.7,::1", "db=10.0.0.7,db=::1"},
  };
  for (const auto& [spec, attr] : table) {
    Request request;
    ASSERT_TRUE(add_host(request, spec).ok()) << spec;
    EXPECT_EQ(ready(request).attrs["add-hosts"], attr) << spec;
  }
  for (const char* spec : {"", "db", "db:", ":10.0.0.7", "db:10.0.0", "db:name", "db:10.0.0.7,",
                           "a b:1.1.1.1", "\"db:10.0.0.7", "db:host-gateways", "10.0.0.7"}) {
    Request request;
    expect_refused(add_host(request, spec), spec);
    EXPECT_TRUE(request.hosts.empty());
  }
}

TEST(Hosts, OfTheGatewayAreResolvedByTheBuildersWord) {
  Request request;
  ASSERT_TRUE(add_host(request, "me:host-gateway").ok());
  ASSERT_TRUE(add_host(request, "db:10.0.0.7").ok());
  Request sent = ready(request);
  EXPECT_TRUE(needs_host_gateway(sent));
  EXPECT_FALSE(sent.attrs.contains("add-hosts"));
  for (const char* nothing : {"", "name"}) {
    auto status = resolve_hosts(sent, nothing);
    EXPECT_EQ(status.code(), Code::kFailedPrecondition);
    EXPECT_THAT(status.message(), HasSubstr("'me'"));
    EXPECT_THAT(status.error().hint, HasSubstr("host-gateway-ip"));
  }
  buildkit::Worker silent, telling;
  telling.labels["org.mobyproject.buildkit.worker.moby.host-gateway-ip"] = "172.17.0.1";
  EXPECT_EQ(host_gateway({silent}), "");
  ASSERT_TRUE(resolve_hosts(sent, host_gateway({silent, telling})).ok());
  EXPECT_EQ(sent.attrs["add-hosts"], "me=172.17.0.1,db=10.0.0.7");
}

TEST(Entitlements, AreThoseThatBuildKitKnows) {
  Request request;
  for (const char* one :
       {"network.host", "security.insecure", "device", "device=vendor.example/gpu=0",
        "device=vendor.example/gpu=0,alias=gpu", "network.host"})
    EXPECT_TRUE(add_entitlement(request, one).ok()) << one;
  EXPECT_EQ(request.entitlements.size(), 5u);
  for (const char* one : {"", "network", "network.host=x", "security.unsafe", "devices",
                          "device=a,b=c", "device=\"a"})
    expect_refused(add_entitlement(request, one), one);
}

TEST(Entitlements, ComeWithTheNetworkThatNeedsThem) {
  Request request;
  ASSERT_TRUE(set_network(request, "host").ok());
  EXPECT_THAT(ready(request).entitlements, ElementsAre("network.host"));
}

TEST(Annotations, GoToTheirLevel) {
  const std::pair<const char*, std::vector<const char*>> table[] = {
      {"key", {"annotation.key"}},
      {"manifest:key", {"annotation-manifest.key"}},
      {"index:a.b/c", {"annotation-index.a.b/c"}},
      {"index,manifest-descriptor:key",
       {"annotation-index.key", "annotation-manifest-descriptor.key"}},
      {"index-descriptor:key", {"annotation-index-descriptor.key"}},
      {"manifest[linux/amd64]:key", {"annotation-manifest[linux/amd64].key"}},
      {"manifest[x86_64],index:key",
       {"annotation-index.key", "annotation-manifest[linux/amd64].key"}},
      {"manifest:key:with:colons", {"annotation-manifest.key:with:colons"}},
  };
  for (const auto& [key, attrs] : table) {
    Request request;
    ASSERT_TRUE(request.add_output("type=oci,dest=x").ok());
    ASSERT_TRUE(request.add_output("type=tar,dest=y").ok());
    ASSERT_TRUE(set_annotation(request, key, "value").ok()) << key;
    Attrs expected;
    for (const char* attr : attrs) expected[attr] = "value";
    Request sent = ready(request);
    EXPECT_EQ(sent.exports[0].attrs, expected) << key;
    EXPECT_EQ(sent.exports[1].attrs, Attrs()) << key;
  }
  Request request;
  for (const char* key :
       {"", "manifest:", ":key", "layer:key", "index[linux/amd64]:key", "manifest[]:key",
        "manifest[linux/]:key", "manifest[linux/amd64:key", "manifest,:key", "a b"})
    expect_refused(set_annotation(request, key, "value"), key);
}

TEST(Annotations, YieldToThoseOfTheExport) {
  Request request;
  ASSERT_TRUE(request.add_output("type=oci,dest=x,annotation.key=mine").ok());
  ASSERT_TRUE(set_annotation(request, "key", "value").ok());
  EXPECT_EQ(ready(request).exports[0].attrs["annotation.key"], "mine");
}

TEST(Attestations, AreReadAsBuildxReadsThem) {
  const std::tuple<const char*, const char*, const char*> table[] = {
      {"type=sbom", "attest:sbom", ""},
      {"type=sbom,generator=image:1", "attest:sbom", "generator=image:1"},
      {"type=provenance,mode=max,builder-id=x", "attest:provenance", "mode=max,builder-id=x"},
      {"type=provenance,\"builder-id=a,b\"", "attest:provenance", "\"builder-id=a,b\""},
      {"mode=max,type=provenance,disabled=false", "attest:provenance", "mode=max"},
  };
  for (const auto& [spec, attr, value] : table) {
    Request request;
    ASSERT_TRUE(add_attest(request, spec).ok()) << spec;
    EXPECT_EQ(ready(request).attrs, Attrs({{attr, value}})) << spec;
  }
  for (const char* spec :
       {"", "sbom", "type=sbom,x", "type=vex", "generator=x", "type=sbom,disabled=maybe"}) {
    Request request;
    expect_refused(add_attest(request, spec), spec);
  }
}

TEST(Attestations, HaveShortForms) {
  Request request;
  ASSERT_TRUE(set_attestation(request, "sbom", "true").ok());
  ASSERT_TRUE(set_attestation(request, "provenance", "mode=max").ok());
  EXPECT_EQ(ready(request).attrs, Attrs({{"attest:sbom", ""}, {"attest:provenance", "mode=max"}}));
  expect_refused(set_attestation(request, "sbom", "false"), "twice");
  expect_refused(add_attest(request, "type=provenance"), "twice");
}

TEST(Attestations, OfBuildxAreAddedWhenNobodySaidOtherwise) {
  auto sent = [](const char* provenance) {
    Request request;
    request.default_attestations = true;
    if (provenance != nullptr) {
      EXPECT_TRUE(set_attestation(request, "provenance", provenance).ok());
    }
    return ready(request).attrs;
  };
  EXPECT_EQ(sent(nullptr), Attrs({{"attest:provenance", "mode=min,inline-only=true"}}));
  EXPECT_EQ(sent("mode=max"), Attrs({{"attest:provenance", "mode=max"}}));
  EXPECT_EQ(sent("false"), Attrs());
}

TEST(Syntax, MakesAnImageTheFrontend) {
  Request request;
  ASSERT_TRUE(set_build_arg(request, "BUILDKIT_SYNTAX", " image:1 --flag").ok());
  ASSERT_TRUE(set_build_arg(request, "BUILDKIT_MULTI_PLATFORM", "1").ok());
  Request sent = ready(request);
  EXPECT_EQ(sent.frontend, "gateway.v0");
  EXPECT_EQ(sent.attrs["source"], "image:1");
  EXPECT_EQ(sent.attrs["cmdline"], " image:1 --flag");
  EXPECT_EQ(sent.attrs["multi-platform"], "true");
}

TEST(Syntax, OfAGatewayNeedsAnImage) {
  Request request;
  request.frontend = "gateway.v0";
  expect_refused(prepare(request).status(), "gateway without source");
  request.attrs["source"] = "image:1";
  EXPECT_TRUE(prepare(request).ok());
}

}  // namespace
}  // namespace depot::solve

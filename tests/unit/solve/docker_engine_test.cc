#include "solve/docker_engine.h"

#include <gmock/gmock.h>

namespace depot::solve {
namespace {

using base::Code;
using ::testing::HasSubstr;

constexpr bool kOwnStore = false;
constexpr bool kContainerds = true;

Request with(std::vector<Export> exports) {
  Request request;
  request.exports = std::move(exports);
  return request;
}

Export one(const std::string& type, std::map<std::string, std::string> attrs = {}) {
  return {type, std::move(attrs), "", nullptr};
}

TEST(Engine, TellsItsStoreByALabel) {
  std::vector<buildkit::Worker> workers(1);
  EXPECT_FALSE(has_containerd_store(workers));
  workers[0].labels["org.mobyproject.buildkit.worker.moby.host-gateway-ip"] = "172.17.0.1";
  EXPECT_FALSE(has_containerd_store(workers));
  workers[0].labels["org.mobyproject.buildkit.worker.snapshotter"] = "overlayfs";
  EXPECT_TRUE(has_containerd_store(workers));
}

TEST(Engine, KeepsImagesInItsOwnStore) {
  for (const char* type : {"image", "docker"}) {
    auto ready = fit_engine(with({one(type, {{"name", "a"}})}), kOwnStore);
    ASSERT_TRUE(ready.ok()) << ready.status().message();
    EXPECT_EQ(ready->exports[0].type, "moby");
    EXPECT_EQ(ready->exports[0].attrs.at("name"), "a");
    EXPECT_EQ(ready->attrs.at("image-resolve-mode"), "local");
  }
  Request pulls = with({one("image")});
  pulls.attrs["image-resolve-mode"] = "pull";
  EXPECT_EQ(fit_engine(pulls, kOwnStore)->attrs.at("image-resolve-mode"), "pull");
}

TEST(Engine, NamesWhatItsOwnStoreLacks) {
  Export to_file{"docker", {}, "image.tar", nullptr};
  Request platforms = with({one("image")});
  platforms.attrs["platform"] = "linux/amd64,linux/arm64";
  Request attested = with({one("image")});
  attested.attrs["attest:sbom"] = "";
  Request cached = with({one("image")});
  cached.cache_to.push_back({"registry", {{"ref", "a"}}, {}});
  struct Case {
    Request request;
    const char* name;
  };
  for (const auto& [request, name] :
       {Case{with({one("oci")}), "'oci'"}, Case{with({to_file}), "'docker'"},
        Case{with({one("image", {{"push", "true"}})}), "push"}, Case{platforms, "one platform"},
        Case{attested, "attestations"}, Case{cached, "cache of type 'registry'"}}) {
    auto refused = fit_engine(request, kOwnStore);
    ASSERT_FALSE(refused.ok()) << name;
    EXPECT_EQ(refused.status().code(), Code::kFailedPrecondition);
    EXPECT_THAT(refused.status().message(), HasSubstr(name));
    EXPECT_THAT(refused.status().error().hint, HasSubstr("containerd image store"));
    EXPECT_TRUE(fit_engine(request, kContainerds).ok()) << name;
  }
  attested.attrs["attest:sbom"] = "disabled=true";
  EXPECT_TRUE(fit_engine(attested, kOwnStore).ok());
  EXPECT_TRUE(fit_engine(with({one("tar")}), kOwnStore).ok());
  cached.cache_to = {{"inline", {}, {}}};
  EXPECT_TRUE(fit_engine(cached, kOwnStore).ok());
  Request by_default = with({one("image")});
  by_default.default_attestations = true;
  by_default.attrs["attest:provenance"] = "mode=min";
  EXPECT_FALSE(fit_engine(by_default, kOwnStore)->attrs.contains("attest:provenance"));
  EXPECT_TRUE(fit_engine(by_default, kContainerds)->attrs.contains("attest:provenance"));
}

TEST(Engine, PushesWithContainerdsStore) {
  auto pushed = fit_engine(with({one("image", {{"push", "true"}})}), kContainerds);
  EXPECT_EQ(pushed->exports[0].type, "moby");
  EXPECT_EQ(pushed->exports[0].attrs.at("push"), "true");
  EXPECT_EQ(pushed->attrs.at("image-resolve-mode"), "local");
}

}  // namespace
}  // namespace depot::solve

#include "builder/provenance.h"

#include <gtest/gtest.h>

namespace depot::builder {
namespace {

constexpr char kSlsa1[] = "https://slsa.dev/provenance/v1";
constexpr char kSlsa02[] = "https://slsa.dev/provenance/v0.2";

std::string json(const std::string& predicate, const char* type = kSlsa1,
                 ProvenanceDetail detail = ProvenanceDetail::kMin) {
  auto out = provenance_json(predicate, type, detail);
  return out.ok() ? *out : out.status().message();
}

TEST(Provenance, TheOlderOneLosesWhatIsOfTheRun) {
  std::string given =
      R"({"builder":{"id":""},"buildType":"t","buildConfig":{"a":1},"metadata":{}})";
  EXPECT_EQ(json(given, kSlsa02), R"({"builder":{"id":""},"buildType":"t"})");
  EXPECT_EQ(json(given, kSlsa02, ProvenanceDetail::kMax), given);
}

TEST(Provenance, TheNewerOneIsWrittenAsTheOlder) {
  std::string given = R"({"buildDefinition":{"buildType":"x","externalParameters":{
    "configSource":{"uri":"git","digest":{"sha1":"1"},"path":"Dockerfile"},
    "request":{"frontend":"dockerfile.v0"}},
    "internalParameters":{"builderPlatform":"linux/amd64","own":[1],"buildConfig":{"a":1}},
    "resolvedDependencies":[{"uri":"pkg","digest":{"sha256":"2"},"name":"not there"}]},
    "runDetails":{"builder":{"id":"b"},"metadata":{"invocationId":"i","startedOn":"s",
    "buildkit_completeness":{"request":true},"buildkit_metadata":{"vcs":{}},"buildkit_hermetic":true}}})";
  std::string least =
      R"({"builder":{"id":"b"},"buildType":"https://mobyproject.org/buildkit@v1",)"
      R"("materials":[{"uri":"pkg","digest":{"sha256":"2"}}],"invocation":{"configSource":)"
      R"({"uri":"git","digest":{"sha1":"1"},"entryPoint":"Dockerfile"},"parameters":)"
      R"({"frontend":"dockerfile.v0"},"environment":{"platform":"linux/amd64","own":[1]}})";
  EXPECT_EQ(json(given), least + "}");
  EXPECT_EQ(json(given, kSlsa1, ProvenanceDetail::kMax),
            least + R"(,"buildConfig":{"a":1},"metadata":{"buildInvocationID":"i",)"
                    R"("buildStartedOn":"s","completeness":{"parameters":true,"environment":true,)"
                    R"("materials":false},"reproducible":false,)"
                    R"("https://mobyproject.org/buildkit@v1#metadata":{"vcs":{}},)"
                    R"("https://mobyproject.org/buildkit@v1#hermetic":true}})");
}

TEST(Provenance, NonsenseIsRefused) {
  for (const std::string& given : {std::string("[]"), std::string("{"), std::string(""),
                                   std::string(1000, '[') + std::string(1000, ']')})
    EXPECT_FALSE(provenance_json(given, kSlsa1, ProvenanceDetail::kMin).ok()) << given.substr(0, 9);
  EXPECT_EQ(
      json(R"({"buildDefinition":[],"runDetails":"x"})"),
      R"({"builder":{"id":null},"buildType":"https://mobyproject.org/buildkit@v1",)"
      R"("invocation":{"configSource":{},"parameters":null,"environment":{"platform":null}}})");
}

}  // namespace
}  // namespace depot::builder

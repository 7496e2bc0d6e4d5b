#include "load/target.h"

#include <gmock/gmock.h>

#include <map>

namespace depot::load {
namespace {

using base::Code;
using base::Environment;
using ::testing::ElementsAre;

Environment with_host() {
  return Environment(
      std::map<std::string, std::string, std::less<>>{{"DOCKER_HOST", "unix:///d.sock"}});
}

TEST(Target, IsTheEngineThatDockerWouldUse) {
  auto target = parse_target("", "", with_host());
  ASSERT_TRUE(target.ok());
  EXPECT_EQ(target->engine, "docker://unix:///d.sock");
  EXPECT_EQ(target->name, "docker");
  EXPECT_FALSE(target->named);
  EXPECT_TRUE(parse_target("docker", "", with_host())->named);
  EXPECT_EQ(parse_target("docker://unix:///x", "", with_host())->engine, "docker://unix:///x");
  EXPECT_EQ(parse_target("", "there", with_host())->engine, "docker://?context=there");
}

TEST(Target, IsAProgramByItsName) {
  EXPECT_THAT(parse_target("podman", "", {})->command, ElementsAre("podman", "load"));
  EXPECT_THAT(parse_target("nerdctl", "", {})->command, ElementsAre("nerdctl", "load"));
  EXPECT_THAT(parse_target("nerdctl:k8s.io", "", {})->command,
              ElementsAre("nerdctl", "--namespace=k8s.io", "load"));
  auto ctr = parse_target("ctr:x", "", {});
  EXPECT_THAT(ctr->command, ElementsAre("ctr", "--namespace=x", "images", "import", "-"));
  EXPECT_EQ(ctr->name, "ctr");
}

TEST(Target, RefusesWhatIsNone) {
  for (const char* into : {"rkt", "podman:x", "ctr:", "ctr:-x", "ctr:a b", "ctr:x;y",
                           "docker:", "docker://nowhere", "docker-container://x", "unix:///x"})
    EXPECT_EQ(parse_target(into, "", {}).status().code(), Code::kInvalidArgument) << into;
  EXPECT_EQ(parse_target("podman", "there", {}).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(parse_target("docker://unix:///x", "there", {}).status().code(),
            Code::kInvalidArgument);
  EXPECT_EQ(parse_target("", "-x;y", {}).status().code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace depot::load

// What `--ssh` says, by the rules of buildctl.
#include "solve/ssh.h"

#include <gtest/gtest.h>

#include "solve/request.h"

namespace depot::solve {
namespace {

using base::Code;
using base::Environment;
using base::Hop;
using Paths = std::vector<std::string>;

Environment with(const std::string& name, const std::string& value) {
  std::map<std::string, std::string, std::less<>> values;
  values[name] = value;
  return Environment(std::move(values));
}

TEST(Ssh, IsSpelledAsTheToolsSpellIt) {
  struct {
    const char *spec, *id;
    Paths paths;
    bool raw;
  } cases[] = {
      {"default", "default", {}, false},
      {"", "default", {}, false},
      {"a", "a", {}, false},
      {"a=", "a", {""}, false},
      {"=/x", "default", {"/x"}, false},
      {"a=/x", "a", {"/x"}, false},
      {"a=/x,y=z", "a", {"/x", "y=z"}, false},
      {"a=/x,raw=true", "a", {"/x"}, true},
      {"a=raw=1,/x", "a", {"/x"}, true},
      {"a=/x,raw=F", "a", {"/x"}, false},
  };
  for (const auto& one : cases) {
    auto input = parse_ssh(one.spec);
    ASSERT_TRUE(input.ok()) << one.spec;
    EXPECT_EQ(input->id, one.id) << one.spec;
    EXPECT_EQ(input->paths, one.paths) << one.spec;
    EXPECT_EQ(input->raw, one.raw) << one.spec;
  }
  for (const char* spec : {"a=/x,raw=", "a=/x,raw=yes", "a=raw=true", "a=/x,/y,raw=true"})
    EXPECT_EQ(parse_ssh(spec).status().code(), Code::kInvalidArgument) << spec;
}

TEST(Ssh, KeysOfOneIdAreOneAgents) {
  Request request;
  SshInput key;
  key.keys_only = true;
  key.paths = {"one"};
  EXPECT_TRUE(request.add_ssh(key).ok());
  key.paths = {"two"};
  EXPECT_TRUE(request.add_ssh(key).ok());
  ASSERT_EQ(request.ssh.size(), 1u);
  EXPECT_EQ(request.ssh[0].paths, (Paths{"one", "two"}));
  EXPECT_EQ(request.add_ssh("default").code(), Code::kInvalidArgument);
  EXPECT_TRUE(request.add_ssh("other").ok());
  key.id = "other";
  EXPECT_EQ(request.add_ssh(key).code(), Code::kInvalidArgument);
}

TEST(Ssh, WithoutAnAgentThereIsNone) {
  std::vector<SshInput> inputs(1);
  auto none = prepare_ssh(inputs, {});
  EXPECT_EQ(none.code(), Code::kFailedPrecondition);
  EXPECT_EQ(none.hop(), Hop::kUsage);
  EXPECT_NE(none.message().find("SSH_AUTH_SOCK"), std::string::npos);
  auto gone = prepare_ssh(inputs, with("SSH_AUTH_SOCK", "/nonexistent/agent"));
  EXPECT_EQ(gone.code(), Code::kNotFound);
  inputs[0].paths = {"/dev"};
  EXPECT_FALSE(prepare_ssh(inputs, {}).ok());
}

}  // namespace
}  // namespace depot::solve

// What `--secret` says, by the rules of docker buildx and buildctl.
#include "solve/secrets.h"

#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "session/secrets.h"
#include "solve/request.h"

namespace depot::solve {
namespace {

using base::Code;
using base::Environment;
using base::Hop;

Environment with(const std::string& name, const std::string& value) {
  std::map<std::string, std::string, std::less<>> values;
  values[name] = value;
  return Environment(std::move(values));
}

TEST(Secrets, AreSpelledAsTheToolsSpellThem) {
  struct {
    const char *spec, *id, *file, *variable;
  } cases[] = {
      {"id=a,src=b", "a", "b", ""},
      {"source=b,id=a", "a", "b", ""},
      {"ID=a,SRC=b", "a", "b", ""},
      {"id=a,env=B", "a", "", "B"},
      {"id=a,type=env,src=B", "a", "", "B"},
      {"id=a,type=env,env=B,src=c", "a", "", "B"},
      {"id=a,type=file,src=b", "a", "b", ""},
      {"id=a,src=b,env=B", "a", "", "B"},
      {"id=a", "a", "", ""},
      {"id=a,type=env", "a", "", ""},
      {"\"id=a,b\",src=c=d", "a,b", "c=d", ""},
  };
  for (const auto& one : cases) {
    auto secret = parse_secret(one.spec);
    ASSERT_TRUE(secret.ok()) << one.spec << ": " << secret.status().message();
    EXPECT_EQ(secret->id, one.id) << one.spec;
    EXPECT_EQ(secret->file, one.file) << one.spec;
    EXPECT_EQ(secret->variable, one.variable) << one.spec;
  }
  for (const char* spec : {"", "a", "src=b", "id=", "id=a,type=x", "id=a,mode=1", "\"id=a"}) {
    auto secret = parse_secret(spec);
    EXPECT_EQ(secret.status().code(), Code::kInvalidArgument) << spec;
    EXPECT_EQ(secret.status().hop(), Hop::kUsage) << spec;
  }
}

TEST(Secrets, AnIdIsGivenOnce) {
  Request request;
  EXPECT_TRUE(request.add_secret("id=a,src=x").ok());
  EXPECT_TRUE(request.add_secret("id=b,src=x").ok());
  EXPECT_EQ(request.add_secret("id=a,env=Y").code(), Code::kInvalidArgument);
  EXPECT_EQ(request.secrets.size(), 2u);
}

TEST(Secrets, TooManyBytesAreRefusedWithTheId) {
  Request request;
  SecretInput secret;
  secret.id = "large";
  secret.value = std::make_shared<base::Secret>(std::string(session::kMaxSecret + 1, 'x'));
  auto status = request.add_secret(secret);
  EXPECT_EQ(status.code(), Code::kResourceExhausted);
  EXPECT_NE(status.message().find("\"large\""), std::string::npos);

  std::vector<SecretInput> from_variable(1);
  from_variable[0].id = from_variable[0].variable = "V";
  Environment environment = with("V", std::string(session::kMaxSecret + 1, 'x'));
  EXPECT_EQ(prepare_secrets(from_variable, environment).code(), Code::kResourceExhausted);
}

TEST(Secrets, AnIdAloneIsAVariableElseAFile) {
  std::vector<SecretInput> secrets(1);
  secrets[0].id = "THERE";
  ASSERT_TRUE(prepare_secrets(secrets, with("THERE", "")).ok());
  ASSERT_TRUE(secrets[0].value);
  EXPECT_TRUE(secrets[0].value->empty());

  auto path = std::filesystem::temp_directory_path() / "depot-secret-test";
  std::ofstream(path) << "x";
  secrets = std::vector<SecretInput>(1);
  secrets[0].id = path.string();
  ASSERT_TRUE(prepare_secrets(secrets, {}).ok());
  EXPECT_FALSE(secrets[0].value);
  EXPECT_EQ(secrets[0].file, path.string());
  std::filesystem::remove(path);
  EXPECT_EQ(prepare_secrets(secrets, {}).code(), Code::kNotFound);
}

}  // namespace
}  // namespace depot::solve

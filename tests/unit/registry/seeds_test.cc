// The file of token seeds, which other BuildKit clients share.
#include "registry/seeds.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/file.h>
#include <sys/stat.h>

#include <nlohmann/json.hpp>
#include <set>
#include <thread>

#include "base/base64.h"
#include "support.h"

namespace depot::registry {
namespace {

using base::Cancel;
using registry_test::Folder;

TEST(TokenSeeds, AreKeptInAFileForAllClients) {
  Folder folder;
  std::string docker = folder.path("deep/docker");
  std::string first = TokenSeeds(docker).seed("a.example", Cancel::never());
  EXPECT_EQ(first.size(), 16U);
  EXPECT_EQ(TokenSeeds(docker).seed("a.example", Cancel::never()), first);
  EXPECT_NE(TokenSeeds(docker).seed("b.example", Cancel::never()), first);
  struct stat st;
  ASSERT_EQ(::stat((docker + "/.token_seed").c_str(), &st), 0);
  EXPECT_EQ(st.st_mode & 0777, 0600U);
}

TEST(TokenSeeds, ReadsAndKeepsWhatGoWrote) {
  Folder folder;
  std::string seed = "0123456789abcdef";
  folder.write(".token_seed", "{\n  \"a.example\": {\n    \"Seed\": \"" +
                                  base::base64_encode(seed) + "\"\n  }\n}");
  EXPECT_EQ(TokenSeeds(folder.path()).seed("a.example", Cancel::never()), seed);
  std::string other = TokenSeeds(folder.path()).seed("b.example", Cancel::never());
  EXPECT_EQ(folder.read(".token_seed"), "{\n  \"a.example\": {\n    \"Seed\": \"" +
                                            base::base64_encode(seed) +
                                            "\"\n  },\n  \"b.example\": {\n    \"Seed\": \"" +
                                            base::base64_encode(other) + "\"\n  }\n}");
}

TEST(TokenSeeds, BrokenAndUnusableFilesAreMadeUpFor) {
  for (const char* text : {"{", "[]", "{\"a.example\":7}", "{\"a.example\":{\"Seed\":\"!\"}}"}) {
    Folder folder;
    folder.write(".token_seed", text);
    TokenSeeds seeds(folder.path());
    std::string seed = seeds.seed("a.example", Cancel::never());
    EXPECT_EQ(seed.size(), 16U) << text;
    EXPECT_EQ(seeds.seed("a.example", Cancel::never()), seed);
    EXPECT_EQ(TokenSeeds(folder.path()).seed("a.example", Cancel::never()), seed) << "repaired";
  }
  Folder folder;
  folder.write("file", "");
  for (const std::string& place : {std::string(), folder.path("file"), std::string("/proc/none")}) {
    TokenSeeds seeds(place);
    std::string seed = seeds.seed("a.example", Cancel::never());
    EXPECT_EQ(seed.size(), 16U);
    EXPECT_EQ(seeds.seed("a.example", Cancel::never()), seed);
  }
}

TEST(TokenSeeds, ClientsAtTheSameTimeAgree) {
  Folder folder;
  constexpr int kClients = 8, kHosts = 10;
  std::vector<std::vector<std::string>> got(kClients);
  std::vector<std::thread> threads;
  for (auto& mine : got) {
    threads.emplace_back([&folder, &mine] {
      TokenSeeds seeds(folder.path());
      for (int i = 0; i < kHosts; ++i)
        mine.push_back(seeds.seed("host" + std::to_string(i), Cancel::never()));
    });
  }
  for (auto& thread : threads) thread.join();
  for (const auto& mine : got) EXPECT_EQ(mine, got.front());
  EXPECT_EQ(nlohmann::json::parse(folder.read(".token_seed")).size(), kHosts);
}

TEST(TokenSeeds, ALockThatIsNeverGivenBackDoesNotHoldACancelledCaller) {
  Folder folder;
  int lock = ::open(folder.path(".token_seed.lock").c_str(), O_RDONLY | O_CREAT | O_CLOEXEC, 0600);
  ASSERT_EQ(::flock(lock, LOCK_EX), 0);
  Cancel cancel;
  cancel.trigger();
  EXPECT_EQ(TokenSeeds(folder.path()).seed("a.example", cancel).size(), 16U);
  ::close(lock);
}

}  // namespace
}  // namespace depot::registry

#include "solve/limits.h"

#include <gtest/gtest.h>

#include <optional>

namespace depot::solve {
namespace {

TEST(Size, IsReadAsDockerReadsIt) {
  const std::pair<const char*, int64_t> table[] = {
      {"0", 0},           {"1024", 1024},      {"64m", 64 << 20},   {"64M", 64 << 20},
      {"64MB", 64 << 20}, {"64MiB", 64 << 20}, {"1.5g", 3LL << 29}, {"1.5 GiB", 3LL << 29},
      {"32b", 32},        {"32 b", 32},        {".5k", 512},        {"1p", 1LL << 50},
      {"1e3", 1000},      {"1t", 1LL << 40},
  };
  for (const auto& [text, bytes] : table) {
    auto size = parse_size(text);
    ASSERT_TRUE(size.ok()) << text << ": " << size.status().message();
    EXPECT_EQ(*size, bytes) << text;
  }
}

TEST(Size, ThatIsNoneIsRefused) {
  for (const char* text : {"", "m", "-1", "-64m", "64x", "64mbb", "64kibi", "64 m ", " 64m", "6 4m",
                           "64bb", "inf", "nan1", "1e30", "9999999p", "0x10", "6_4"}) {
    EXPECT_FALSE(parse_size(text).ok()) << text;
  }
}

TEST(Ulimit, IsNormalised) {
  const std::pair<const char*, const char*> table[] = {
      {"nofile=1024", "1024:1024"}, {"nofile=1024:2048", "1024:2048"},
      {"core=-1", "-1:-1"},         {"core=5:-1", "5:-1"},
      {"rtprio=0:0", "0:0"},
  };
  for (const auto& [spec, limits] : table) {
    auto limit = parse_ulimit(spec);
    ASSERT_TRUE(limit.ok()) << spec << ": " << limit.status().message();
    EXPECT_EQ(limit->second, limits) << spec;
  }
}

TEST(Ulimit, ThatIsNoneIsRefused) {
  for (const char* spec :
       {"", "nofile", "nofile=", "=5", "files=5", "as=5", "nofile=a", "nofile=5:", "nofile=1:2:3",
        "nofile=2:1", "nofile=-1:5", "nofile=1.5", "nofile=1 "}) {
    auto limit = parse_ulimit(spec);
    ASSERT_FALSE(limit.ok()) << spec;
    EXPECT_EQ(limit.status().code(), base::Code::kInvalidArgument);
    EXPECT_FALSE(limit.status().error().hint.empty());
  }
}

TEST(Resource, HasTheFrontendsName) {
  const std::tuple<const char*, const char*, const char*> table[] = {
      {"memory=2g", "memory", "2147483648"},        {"memory-swap=-1", "memswap", "-1"},
      {"memory-swap=1k", "memswap", "1024"},        {"cpu-shares=512", "cpushares", "512"},
      {"cpu-period=100000", "cpuperiod", "100000"}, {"cpu-quota=50000", "cpuquota", "50000"},
      {"cpuset-cpus=0-3,5", "cpusetcpus", "0-3,5"}, {"cpuset-mems=0", "cpusetmems", "0"},
      {" memory = 1m ", "memory", "1048576"},       {"memory=0", "memory", ""},
      {"cpuset-cpus=", "cpusetcpus", ""},
  };
  for (const auto& [spec, attr, value] : table) {
    auto resource = parse_resource(spec);
    ASSERT_TRUE(resource.ok()) << spec << ": " << resource.status().message();
    EXPECT_EQ(resource->first, attr) << spec;
    EXPECT_EQ(resource->second, value) << spec;
  }
}

TEST(Resource, ThatIsNoneIsRefused) {
  for (const char* spec : {"", "memory", "memory=", "memory=-1", "memory=x", "swap=1",
                           "cpu-shares=-5", "cpu-shares=x", "cpuset-cpus=3-1", "cpuset-cpus=a",
                           "cpuset-cpus=0,,1", "cpuset-cpus=99999", "memory-swap=-2"})
    EXPECT_FALSE(parse_resource(spec).ok()) << spec;
}

}  // namespace
}  // namespace depot::solve

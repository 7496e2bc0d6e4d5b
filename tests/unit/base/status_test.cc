#include "base/status.h"

#include <gtest/gtest.h>

#include <cerrno>
#include <set>

#include "base/environment.h"
#include "base/id.h"

namespace depot::base {
namespace {

TEST(Status, OkIsEmpty) {
  Status status;
  EXPECT_TRUE(status.ok());
  EXPECT_EQ(status.code(), Code::kOk);
  EXPECT_EQ(status.message(), "");
  EXPECT_TRUE(status.with_prefix("x").ok());
}

TEST(Status, LayersAddWithoutTouchingTheOriginal) {
  Status first(Code::kNotFound, Hop::kApi, "no such project");
  Status second = first.with_prefix("create build").with_hint("check the id").with_hop(Hop::kLocal);
  EXPECT_EQ(first.message(), "no such project");
  EXPECT_EQ(second.message(), "create build: no such project");
  EXPECT_EQ(second.error().hint, "check the id");
  EXPECT_EQ(second.hop(), Hop::kApi) << "a hop that is known stays";
}

TEST(Status, EveryCodeAndHopHasAName) {
  std::set<std::string_view> names;
  for (int code = 0; code <= 16; ++code) names.insert(code_name(static_cast<Code>(code)));
  EXPECT_EQ(names.size(), 17u);
  EXPECT_EQ(code_name(static_cast<Code>(99)), "Unknown");
  EXPECT_EQ(code_from_number(99), Code::kUnknown);
  EXPECT_EQ(code_from_number(-1), Code::kUnknown);
  std::set<std::string_view> hops;
  for (int hop = 0; hop <= 11; ++hop) hops.insert(hop_name(static_cast<Hop>(hop)));
  EXPECT_EQ(hops.size(), 12u);
  EXPECT_EQ(hop_name(static_cast<Hop>(99)), "none");
}

TEST(Status, MapsErrno) {
  EXPECT_EQ(errno_error(ENOENT, "x").code(), Code::kNotFound);
  EXPECT_EQ(errno_error(EACCES, "x").code(), Code::kPermissionDenied);
  EXPECT_EQ(errno_error(ENOSPC, "cannot write f").message(),
            "cannot write f: No space left on device");
}

Result<int> half(int value) {
  if (value % 2 != 0) return usage_error("odd");
  return value / 2;
}
Status use(int value, int& out) {
  DEPOT_ASSIGN(int first, half(value));
  DEPOT_ASSIGN(out, half(first));
  return {};
}

TEST(Result, AssignPassesErrorsOn) {
  int out = 0;
  EXPECT_TRUE(use(8, out).ok());
  EXPECT_EQ(out, 2);
  EXPECT_EQ(use(6, out).message(), "odd");
}

TEST(Id, IsTwentyFiveCharactersAndNeverTheSame) {
  std::set<std::string> ids;
  for (int i = 0; i < 1000; ++i) {
    std::string id = random_id();
    EXPECT_EQ(id.size(), 25u);
    EXPECT_EQ(id.find_first_not_of("0123456789abcdefghijklmnopqrstuvwxyz"), std::string::npos);
    ids.insert(id);
  }
  EXPECT_EQ(ids.size(), 1000u);
  EXPECT_EQ(random_hex(6).size(), 12u);
}

TEST(Environment, KnowsUnsetFromEmpty) {
  Environment environment(std::map<std::string, std::string, std::less<>>{{"A", ""}, {"B", "1"}});
  EXPECT_EQ(environment.get("A"), "");
  EXPECT_EQ(environment.get("C"), std::nullopt);
  EXPECT_EQ(environment.get_or("A", "x"), "x");
  EXPECT_TRUE(environment.truthy("B"));
  EXPECT_FALSE(environment.truthy("A"));
}

}  // namespace
}  // namespace depot::base

#include "builder/filters.h"

#include <gtest/gtest.h>

#include "builder/history.h"

namespace depot::builder {
namespace {

using namespace std::chrono_literals;
using base::Code;
using List = std::vector<std::string>;

List filters(const List& given) {
  auto parsed = parse_filters(given);
  EXPECT_TRUE(parsed.ok()) << parsed.status().message();
  return parsed.ok() ? parsed->filters : List{};
}

TEST(Filters, BuildkitsOwnSyntaxStaysAsItIs) {
  for (const char* one :
       {"type==regular", "type!=regular", "id~=^abc", "inuse", "private", "type==regular,inuse",
        "description~=/a,b=c/", R"(id=="a,b")", R"(description=="say \"a,b=c\"",inuse)"})
    EXPECT_EQ(filters({one}), List{one}) << one;
}

TEST(Filters, DockersSpelling) {
  EXPECT_EQ(filters({"type=source.local"}), List{"type==source.local"});
  EXPECT_EQ(filters({"id=abc"}), List{"id~=abc"});
  EXPECT_EQ(filters({"type=regular,id=x"}), List{"type==regular,id~=x"});
  EXPECT_EQ(filters({"inuse=true"}), List{"inuse"});
  EXPECT_EQ(filters({"mutable=false,shared=0,private=1"}), List{"immutable,private,private"});
  EXPECT_EQ(filters({"description=pulled from a=b"}), List{"description==pulled from a=b"});
  EXPECT_EQ(filters({"", "a=1", "b=2"}), (List{"a==1", "b==2"})) << "an empty one is none";
}

TEST(Filters, UntilIsAnAge) {
  auto parsed = parse_filters({"type=regular,until=24h", "inuse"});
  ASSERT_TRUE(parsed.ok());
  EXPECT_EQ(parsed->filters, (List{"type==regular", "inuse"}));
  EXPECT_EQ(parsed->older_than, 24h);
  EXPECT_EQ(parse_filters({"unused-for=90m"})->older_than, 90min);
  EXPECT_TRUE(parse_filters({"until=1h"})->filters.empty());
}

TEST(Filters, WhatCannotBeRightIsRefused) {
  for (const List& bad :
       {List{"until=1h,unused-for=2h"}, List{"until=1h", "until=1h"}, List{"until=yesterday"},
        List{"until="}, List{"=x"}, List{R"(id=="a)"}, List{"inuse=maybe"}, List{"inuse=false"},
        List{std::string(70000, 'a')}, List(1001, "a==b")}) {
    auto parsed = parse_filters(bad);
    ASSERT_FALSE(parsed.ok()) << bad[0];
    EXPECT_EQ(parsed.status().code(), Code::kInvalidArgument);
    EXPECT_LT(parsed.status().message().size(), 300u);
  }
}

TEST(Filters, DurationsAreGos) {
  const std::pair<const char*, std::chrono::nanoseconds> kGood[] = {
      {"0", 0ns},       {"24h", 24h}, {"1h30m", 90min},  {"1.5s", 1500ms}, {"300ms", 300ms},
      {"+2us", 2000ns}, {"7ns", 7ns}, {"1h1m1s", 3661s}, {".5m", 30s}};
  for (const auto& [text, expected] : kGood) {
    auto parsed = parse_duration(text);
    ASSERT_TRUE(parsed.ok()) << text;
    EXPECT_EQ(*parsed, expected) << text;
  }
  for (const char* bad : {"", "h", "1", "1d", "-1h", "1h ", " 1h", "1..5s", "1e3s", "9999999999h",
                          "1hh", "0x1s", "+"})
    EXPECT_FALSE(parse_duration(bad).ok()) << bad;
}

TEST(HistoryFilters, DockersSpellingBecomesBuildkits) {
  const std::pair<const char*, const char*> kGood[] = {
      {"", ""},
      {"status=error", "status==error"},
      {"ref=abc", "ref~=abc"},
      {"repository=example.com/a", "repository~=example.com/a"},
      {"status!=running", "status!=running"},
      {"ref==x,status=completed", "ref==x,status==completed"},
      {"startedAt>=24h,duration<1m", "startedAt>=24h,duration<1m"},
  };
  for (const auto& [given, expected] : kGood) {
    auto parsed = parse_history_filter(given);
    ASSERT_TRUE(parsed.ok()) << given << ": " << parsed.status().message();
    EXPECT_EQ(*parsed, expected);
  }
  for (const char* bad : {"status", "name=x", "status>1", "duration=1m", "=", ",", "status=a,"})
    EXPECT_EQ(parse_history_filter(bad).status().code(), Code::kInvalidArgument) << bad;
}

}  // namespace
}  // namespace depot::builder

#include "solve/call.h"

#include <gtest/gtest.h>

namespace depot::solve {
namespace {

using base::Code;
using Metadata = std::map<std::string, std::string>;

TEST(Call, IsNamedAsOnTheCommandLine) {
  const std::pair<const char*, const char*> table[] = {{"build", ""},
                                                       {"check", "lint"},
                                                       {"lint", "lint"},
                                                       {"outline", "outline"},
                                                       {"my.own_call-2", "my.own_call-2"}};
  for (const auto& [given, method] : table) {
    Request request;
    ASSERT_TRUE(set_call(request, given).ok()) << given;
    EXPECT_EQ(request.call, method);
  }
  for (const char* wrong : {"", "a b", "check,format=json", "a=b", "\n"}) {
    Request request;
    EXPECT_EQ(set_call(request, wrong).code(), Code::kInvalidArgument) << wrong;
  }
}

TEST(Call, ExportsNothingAndIsKeptOutOfTheHistory) {
  Request request;
  ASSERT_TRUE(set_call(request, "check").ok());
  ASSERT_TRUE(request.add_tag("app").ok());
  ASSERT_TRUE(request.add_output("type=oci,dest=x").ok());
  request.push = true;
  request.attrs["frontend.caps"] = "other";
  auto ready = prepare(request);
  ASSERT_TRUE(ready.ok()) << ready.status().message();
  EXPECT_TRUE(ready->exports.empty());
  EXPECT_TRUE(ready->internal);
  EXPECT_EQ(ready->attrs["requestid"], "frontend.lint");
  EXPECT_EQ(ready->attrs["frontend.caps"], "other,moby.buildkit.frontend.subrequests+forward");
}

TEST(Call, OfALintIsRead) {
  // "RlJPTSBzY3JhdGNo" is "FROM scratch".
  auto answer = read_answer("lint", {{"result.json", R"({"warnings": [
      {"ruleName": "One", "description": "d", "url": "u", "detail": "x", "location":
        {"ranges": [{"start": {"line": 3, "character": 2}, "end": {"line": 4}}]}},
      {"ruleName": "Two", "location": {"sourceIndex": -1}},
      {"ruleName": "Three", "location": {"sourceIndex": 7, "ranges": [{"start": {}, "end": {"line": "4"}}]}},
      17, {"ruleName": 5}],
      "sources": [{"filename": "Dockerfile", "data": "RlJPTSBzY3JhdGNo", "language": "Dockerfile"}],
      "buildError": {"message": "no", "location": {"ranges": [{"start": {"line": 1}, "end": {"line": 1}}]}}})"},
                                     {"result.txt", "text"},
                                     {"result.statuscode", "1"}});
  ASSERT_TRUE(answer.ok()) << answer.status().message();
  EXPECT_EQ(answer->status, 1);
  EXPECT_EQ(answer->text, "text");
  ASSERT_EQ(answer->warnings.size(), 4u);
  const LintWarning& one = answer->warnings[0];
  EXPECT_EQ(one.rule + one.description + one.url + one.detail, "Onedux");
  EXPECT_EQ(one.place.file, "Dockerfile");
  ASSERT_EQ(one.place.ranges.size(), 1u);
  EXPECT_EQ(one.place.ranges[0].start_line, 3);
  EXPECT_EQ(one.place.ranges[0].start_character, 2);
  EXPECT_EQ(one.place.ranges[0].end_line, 4);
  EXPECT_EQ(answer->warnings[1].place.file, "");
  EXPECT_EQ(answer->warnings[2].place.file, "");
  EXPECT_EQ(answer->warnings[2].place.ranges[0].end_line, 0);
  EXPECT_EQ(answer->warnings[3].rule, "");
  ASSERT_TRUE(answer->error.has_value());
  EXPECT_EQ(answer->error->message, "no");
  EXPECT_EQ(answer->error->location.data, "FROM scratch");
  EXPECT_EQ(answer->error->location.ranges[0].start_line, 1);
}

TEST(Call, OfAnOutlineAndTargetsIsRead) {
  auto outline = read_answer(
      "outline", {{"result.json", R"({"name": "n", "args": [{"name": "A", "value": "1"}],
      "secrets": [{"name": "s", "required": true}], "ssh": null, "cache": [{"ID": "c"}], "sources": ["AA=="]})"}});
  ASSERT_TRUE(outline.ok());
  ASSERT_EQ(outline->outline.size(), 3u);
  EXPECT_EQ(outline->name, "n");
  EXPECT_EQ(outline->outline[0].value, "1");
  EXPECT_TRUE(outline->outline[1].required);
  EXPECT_EQ(outline->outline[1].kind, OutlineEntry::Kind::kSecret);
  EXPECT_EQ(outline->outline[2].name, "c");
  EXPECT_EQ(outline->outline[2].kind, OutlineEntry::Kind::kCache);
  auto targets =
      read_answer("targets", {{"result.json", R"({"targets": [{"default": true, "base": "b"}]})"}});
  ASSERT_TRUE(targets.ok());
  ASSERT_EQ(targets->targets.size(), 1u);
  EXPECT_TRUE(targets->targets[0].is_default);
  EXPECT_EQ(targets->targets[0].base, "b");
}

TEST(Call, WhoseAnswerCannotBeReadFails) {
  std::string deep(100000, '[');
  for (const std::string& json :
       {std::string(), std::string("nonsense"), std::string("[]"), std::string("{"), deep}) {
    auto answer = read_answer("lint", {{"result.json", json}});
    ASSERT_FALSE(answer.ok()) << json.substr(0, 20);
    EXPECT_EQ(answer.status().code(), Code::kInternal);
  }
  EXPECT_FALSE(read_answer("outline", {}).ok());
  // What a frontend of one's own answers is its own matter.
  auto own = read_answer("mine", {{"result.json", "nonsense"}, {"result.statuscode", "x"}});
  ASSERT_TRUE(own.ok());
  EXPECT_EQ(own->json, "nonsense");
  EXPECT_EQ(own->status, 0);
}

TEST(Call, BracketsInTextAreNoDepth) {
  std::string detail(200, '{');
  auto answer = read_answer(
      "lint",
      {{"result.json", R"({"warnings": [{"ruleName": "\"R", "detail": ")" + detail + "\"}]}"}});
  ASSERT_TRUE(answer.ok());
  EXPECT_EQ(answer->warnings[0].detail, detail);
}

}  // namespace
}  // namespace depot::solve

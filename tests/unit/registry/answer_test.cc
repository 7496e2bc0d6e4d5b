// What token servers answer, and requests and texts as they are encoded.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "registry/form.h"
#include "registry/json_text.h"
#include "registry/token_answer.h"

namespace depot::registry {
namespace {

using base::Code;
using ::testing::HasSubstr;
using ::testing::Not;

TEST(TokenAnswer, OAuthTakesAccessTokenAlone) {
  auto token = parse_token(R"({"access_token":"abc","expires_in":300})", true);
  ASSERT_TRUE(token.ok());
  EXPECT_EQ(token->token.reveal(), "abc");
  EXPECT_EQ(token->expires_in, 300);
  EXPECT_EQ(token->issued_at, 0);
  EXPECT_EQ(parse_token(R"({"token":"abc"})", true).status().code(), Code::kDataLoss);
}

TEST(TokenAnswer, GetTakesEitherAndAccessTokenWins) {
  EXPECT_EQ(parse_token(R"({"token":"a"})", false)->token.reveal(), "a");
  EXPECT_EQ(parse_token(R"({"token":"a","access_token":"b"})", false)->token.reveal(), "b");
  EXPECT_EQ(parse_token(R"({"token":"a","access_token":""})", false)->token.reveal(), "a");
}

TEST(TokenAnswer, OddExpiriesAreAMinute) {
  for (const char* odd : {"0", "-5", "\"300\"", "null", "true", "[]", "-1e300", "0.5"}) {
    auto token = parse_token(std::string(R"({"token":"a","expires_in":)") + odd + "}", false);
    ASSERT_TRUE(token.ok()) << odd;
    EXPECT_EQ(token->expires_in, 60) << odd;
  }
  EXPECT_EQ(parse_token(R"({"token":"a","expires_in":1e300})", false)->expires_in,
            10LL * 365 * 24 * 3600);
  EXPECT_EQ(parse_token(R"({"token":"a","expires_in":18446744073709551615})", false)->expires_in,
            10LL * 365 * 24 * 3600);
}

TEST(TokenAnswer, NonsenseIsDataLossAndNeverQuoted) {
  std::string deep(100000, '[');
  std::string long_token = R"({"token":")" + std::string(200 << 10, 'x') + R"("})";
  for (const std::string& body :
       {std::string(), std::string("hunter2"), std::string("[\"hunter2\"]"),
        std::string(R"({"token":7,"x":"hunter2"})"), std::string(R"({"token":"hunter2\n"})"),
        std::string(R"({"token":"hunter2 hunter2"})"), std::string(R"({"token":"hunter2\u0000"})"),
        std::string(R"({"Token":"hunter2"})"), std::string("{\"token\":\"hunter2"), deep,
        long_token}) {
    auto token = parse_token(body, false);
    ASSERT_FALSE(token.ok()) << body.substr(0, 40);
    EXPECT_EQ(token.status().code(), Code::kDataLoss);
    EXPECT_THAT(token.status().message(), Not(HasSubstr("hunter2")));
  }
}

TEST(TokenAnswer, ReadsTimesOfIssue) {
  EXPECT_EQ(parse_rfc3339("1970-01-01T00:00:01Z"), 1);
  EXPECT_EQ(parse_rfc3339("2009-02-13T23:31:30Z"), 1234567890);
  EXPECT_EQ(parse_rfc3339("2009-02-14T01:31:30.123456789+02:00"), 1234567890);
  EXPECT_EQ(parse_rfc3339("2009-02-13T19:01:30-04:30"), 1234567890);
  EXPECT_EQ(parse_rfc3339("2024-02-29T12:00:00Z"), 1709208000);
  for (const char* odd :
       {"", "yesterday", "2009-02-13", "2009-02-13T23:31:30", "2009-13-13T23:31:30Z",
        "2009-02-13T23:31:30.Z", "2009-02-13T23:31:30+2:00", "2009-02-13 23:31:30Z",
        "0000-00-00T00:00:00Z", "2009-02-13T23:31:30Zjunk", "0001-01-01T00:00:00Z"}) {
    EXPECT_EQ(parse_rfc3339(odd), 0) << odd;
  }
}

TEST(TokenAnswer, TellsTheServersReason) {
  EXPECT_EQ(refusal_reason(R"({"errors":[{"code":"DENIED","message":"no\nway"}]})", {}),
            "DENIED: no; way");
  EXPECT_EQ(refusal_reason(R"({"error":"invalid_grant","error_description":"expired"})", {}),
            "invalid_grant: expired");
  EXPECT_EQ(refusal_reason(R"({"details":"incorrect username or password"})", {}),
            "incorrect username or password");
  EXPECT_EQ(refusal_reason(R"({"errors":[]})", {}), "");
  EXPECT_EQ(refusal_reason(R"({"errors":[7],"error":{}})", {}), "");
  EXPECT_EQ(refusal_reason("<html>", {}), "");
}

TEST(TokenAnswer, ReasonsLoseSecretsAndControlCharacters) {
  EXPECT_EQ(one_line("bad password hunter2 (hunter2)\x1b[0m", {"hunter2"}),
            "bad password *** (***)?[0m");
  EXPECT_EQ(one_line("bad password ab", {"ab"}), "(withheld)");
  EXPECT_EQ(one_line("no password", {""}), "no password");
  EXPECT_EQ(one_line(std::string(1000, 'x'), {}, 10), "xxxxxxxxxx...");
  // A secret that crosses the limit is gone before the text is cut.
  EXPECT_THAT(one_line("12345678hunter2", {"hunter2"}, 10), Not(HasSubstr("hu")));
}

TEST(Form, QueriesAreWrittenAsGoDoes) {
  Query query;
  query["scope"] = {"repository:a/b:pull,push", "x y"};
  query["client_id"] = {"buildkit-client"};
  query["~p"] = {"p&=+%\xc3\xa4"};
  EXPECT_EQ(encode_query(query),
            "client_id=buildkit-client&scope=repository%3Aa%2Fb%3Apull%2Cpush&scope=x+y&"
            "~p=p%26%3D%2B%25%C3%A4");
  EXPECT_EQ(encode_query(parse_query("b=2&a=1+1&b=%31&&c&bad=%zz&semi;=1")), "a=1+1&b=2&b=1&c=");
}

TEST(JsonText, NamesThePlaceAndNothingElse) {
  auto document = JsonDocument::parse("{\n  \"a\": hunter2}", Code::kDataLoss, base::Hop::kHelper);
  ASSERT_FALSE(document.ok());
  EXPECT_EQ(document.status().message(), "line 2, column 8: not valid JSON");
  auto bytes = JsonDocument::parse("{\"a\":\"\xff\xfe\"}", Code::kDataLoss, base::Hop::kHelper);
  EXPECT_FALSE(bytes.ok());
}

}  // namespace
}  // namespace depot::registry

// The Connect protocol against answers of every kind.
#include "depotapi/connect.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "depotapi/base64.h"
#include "depotapi/connect_error.h"
#include "depotapi/gzip.h"
#include "unit/http/raw_server.h"

namespace depot::depotapi {
namespace {

using namespace std::chrono_literals;
using base::Cancel;
using base::Code;
using base::Hop;
using base::Secret;
using test::http_answer;
using test::RawServer;
using testing::HasSubstr;
using testing::Not;

const std::string kProto = "Content-Type: application/proto\r\n";
const std::string kJson = "Content-Type: application/json\r\n";
const std::string kGzip = "Content-Encoding: gzip\r\n";

UnaryRequest request() {
  UnaryRequest unary;
  unary.path = "/a.B/C";
  unary.message = Secret("ping");
  unary.token = Secret("tok-s3cr3t");
  return unary;
}

UnaryAnswer call(const std::string& url, UnaryRequest unary = request()) {
  http::Options options;
  options.environment.emplace();
  return ConnectClient(http::Client::create(options), url).call(std::move(unary), Cancel::never());
}

// The answer to one call that is answered with these bytes.
UnaryAnswer answered(const std::string& bytes, UnaryRequest unary = request()) {
  RawServer server([&](const std::string&, int) { return bytes; });
  return call(server.url(), std::move(unary));
}

TEST(Connect, SendsTheProtocolsHeaders) {
  RawServer server([](const std::string&, int) {
    return http_answer(200, kProto + "X-One: 1\r\nTrailer-X-Two: 2\r\nTrailer-: x\r\n", "pong");
  });
  UnaryRequest unary = request();
  unary.timeout = 12345ms;
  unary.headers = {{"X-Mine", "yes"}};
  UnaryAnswer answer = call(server.url() + "/base///", std::move(unary));
  ASSERT_TRUE(answer.status.ok()) << answer.status.message();
  EXPECT_EQ(answer.message, "pong");
  EXPECT_EQ(answer.http_status, 200);
  EXPECT_THAT(answer.headers, testing::Contains(std::pair<std::string, std::string>("x-one", "1")));
  EXPECT_THAT(answer.trailers,
              testing::ElementsAre(std::pair<std::string, std::string>("x-two", "2")));
  std::string sent = server.requests().at(0);
  EXPECT_THAT(sent, testing::StartsWith("POST /base/a.B/C HTTP/1.1\r\n"));
  for (const char* line :
       {"Content-Type: application/proto\r\n", "Connect-Protocol-Version: 1\r\n",
        "Connect-Timeout-Ms: 12345\r\n", "Accept-Encoding: gzip\r\n", "X-Mine: yes\r\n",
        "Authorization: Bearer tok-s3cr3t\r\n", "\r\n\r\nping"})
    EXPECT_THAT(sent, HasSubstr(line));
  EXPECT_THAT(sent, Not(HasSubstr("Content-Encoding")));
}

TEST(Connect, GzipBothWays) {
  RawServer server([](const std::string& sent, int) {
    auto body = gunzip(sent.substr(sent.find("\r\n\r\n") + 4), 1000);
    return http_answer(200, kProto + kGzip, *gzip("got " + (body.ok() ? *body : "nothing")));
  });
  UnaryRequest unary = request();
  unary.gzip = true;
  EXPECT_EQ(call(server.url(), std::move(unary)).message, "got ping");
  EXPECT_THAT(server.requests()[0], HasSubstr("Content-Encoding: gzip\r\n"));
}

TEST(Connect, Get) {
  RawServer server([](const std::string&, int) { return http_answer(200, kProto, ""); });
  UnaryRequest unary = request();
  unary.get = true;
  EXPECT_TRUE(call(server.url(), std::move(unary)).status.ok());
  std::string sent = server.requests()[0];
  EXPECT_THAT(sent, testing::StartsWith("GET /a.B/C?connect=v1&base64=1&encoding=proto&message=" +
                                        base64url_encode("ping") + " HTTP/1.1\r\n"));
  EXPECT_THAT(sent, Not(HasSubstr("Content-Type")));
}

TEST(Connect, AnswersThatAreTooLarge) {
  UnaryRequest unary = request();
  unary.max_message = 1000;
  EXPECT_TRUE(answered(http_answer(200, kProto, std::string(1000, 'x')), unary).status.ok());
  EXPECT_EQ(answered(http_answer(200, kProto, std::string(1001, 'x')), unary).status.code(),
            Code::kResourceExhausted);
  unary.max_message = 1 << 20;
  EXPECT_EQ(answered(http_answer(200, kProto, std::string(3 << 20, 'x')), unary).status.code(),
            Code::kResourceExhausted);
}

TEST(Connect, AGzipBombIsNotUnpacked) {
  std::string bomb = *gzip(std::string(200 << 20, '\0'));  // 200 KiB
  ASSERT_LT(bomb.size(), size_t{1} << 20);
  EXPECT_EQ(answered(http_answer(200, kProto + kGzip, bomb)).status.code(),
            Code::kResourceExhausted);
  UnaryAnswer error = answered(http_answer(503, kJson + kGzip, bomb));
  EXPECT_EQ(error.status.code(), Code::kUnavailable) << "the status is left to go by";
}

TEST(Connect, EncodingsThatCannotBeRead) {
  EXPECT_EQ(answered(http_answer(200, kProto + kGzip, "no gzip")).status.code(), Code::kInternal);
  EXPECT_EQ(answered(http_answer(200, kProto + "Content-Encoding: br\r\n", "x")).status.code(),
            Code::kInternal);
  EXPECT_TRUE(answered(http_answer(200, kProto + kGzip, "")).status.ok());
  EXPECT_EQ(answered(http_answer(200, kProto + "Content-Encoding: identity\r\n", "x")).message,
            "x");
}

TEST(Connect, HtmlSaysWhatItIs) {
  UnaryAnswer answer = answered(http_answer(
      200, "Content-Type: text/html; charset=utf-8\r\n",
      "<!DOCTYPE html><html><head><title>Sign in\n to tok-s3cr3t</title></head></html>"));
  EXPECT_EQ(answer.status.code(), Code::kUnknown);
  EXPECT_EQ(answer.status.hop(), Hop::kApi);
  EXPECT_THAT(answer.status.message(), HasSubstr("text/html"));
  EXPECT_THAT(answer.status.message(), HasSubstr("Sign in  to [redacted]"));
  EXPECT_THAT(answer.status.error().hint, HasSubstr("DEPOT_API_URL"));
  EXPECT_FALSE(answer.status.error().retryable);
}

TEST(Connect, OtherTypes) {
  EXPECT_EQ(answered(http_answer(200, kJson, "{}")).status.code(), Code::kInternal);
  EXPECT_EQ(answered(http_answer(200, "Content-Type: application/protobuf\r\n", "")).status.code(),
            Code::kInternal);
  EXPECT_EQ(answered(http_answer(200, "", "")).status.code(), Code::kUnknown);
}

TEST(Connect, StatusesWithoutAConnectBody) {
  struct Case {
    int status;
    Code code;
    bool retryable;
  };
  for (const Case& c :
       {Case{400, Code::kInternal, false}, Case{401, Code::kUnauthenticated, false},
        Case{403, Code::kPermissionDenied, false}, Case{404, Code::kUnimplemented, false},
        Case{429, Code::kUnavailable, true}, Case{502, Code::kUnavailable, true},
        Case{503, Code::kUnavailable, true}, Case{504, Code::kUnavailable, true},
        Case{500, Code::kUnknown, false}, Case{302, Code::kUnknown, false},
        Case{201, Code::kUnknown, false}, Case{409, Code::kUnknown, false}}) {
    for (const std::string& body :
         {http_answer(c.status, "Content-Type: text/html\r\n", "<h1>no</h1>"),
          http_answer(c.status, kJson, "{\"code\":"), http_answer(c.status, kJson, "[1,2]"),
          http_answer(c.status, kJson, ""), http_answer(c.status, kProto, "\xff\xff")}) {
      UnaryAnswer answer = answered(body);
      EXPECT_EQ(answer.status.code(), c.code) << body;
      EXPECT_EQ(answer.status.error().retryable, c.retryable) << body;
      EXPECT_EQ(answer.http_status, c.status);
      EXPECT_THAT(answer.status.message(), HasSubstr(std::to_string(c.status)));
      EXPECT_NE(answer.status.error().hint, "");
    }
  }
}

TEST(Connect, ErrorsWithDetailsAndMetadata) {
  UnaryAnswer answer = answered(http_answer(
      404, kJson + "X-One: 1\r\nTrailer-Two: 2\r\nRetry-After: 3\r\n",
      R"({"code":"failed_precondition","message":"not \u00e9\n now","more":{},"details":[)"
      R"({"type":"google.rpc.RetryInfo","value":"aGk","debug":{"a":1}},)"
      R"({"type":"x.y/T","value":"aGk="},{"type":"T","value":"*"},{"type":7},5,{"type":"","value":""}]})"));
  const base::Error& error = answer.status.error();
  EXPECT_EQ(error.code, Code::kFailedPrecondition);
  EXPECT_EQ(error.hop, Hop::kApi);
  EXPECT_EQ(error.message, "not \xc3\xa9\n now");
  ASSERT_EQ(error.details.size(), 2u);
  EXPECT_EQ(error.details[0].type_url, "type.googleapis.com/google.rpc.RetryInfo");
  EXPECT_EQ(error.details[0].value, "hi");
  EXPECT_EQ(error.details[1].type_url, "x.y/T");
  EXPECT_THAT(answer.headers, testing::Contains(std::pair<std::string, std::string>("x-one", "1")));
  EXPECT_THAT(answer.trailers,
              testing::ElementsAre(std::pair<std::string, std::string>("two", "2")));
  EXPECT_EQ(answer.retry_after, 3s);
}

TEST(Connect, EveryCodeByName) {
  for (int number = 1; number <= 16; ++number) {
    Code code = base::code_from_number(number);
    std::string name;
    for (char c : base::code_name(code)) {
      if (c >= 'A' && c <= 'Z' && !name.empty()) name += '_';
      name += static_cast<char>(c | 0x20);
    }
    EXPECT_EQ(connect_code(name), code) << name;
  }
  EXPECT_EQ(connect_code("ok"), std::nullopt);
  EXPECT_EQ(connect_code(""), std::nullopt);
}

TEST(Connect, ErrorJsonThatIsNotQuiteRight) {
  struct Case {
    std::string body;
    Code code;
    std::string text;
  };
  for (const Case& c : std::initializer_list<Case>{
           {R"({"code":"no_such_code","message":"why"})", Code::kUnauthenticated, "why"},
           {R"({"message":"why"})", Code::kUnauthenticated, "why"},
           {R"({"code":"not_found"})", Code::kNotFound, ""},
           {R"({"code":5,"message":"why"})", Code::kUnauthenticated, "why"},
           {R"({"code":"not_found","message":7})", Code::kNotFound, ""},
           {R"({"code":"not_found","message":"why","details":{}})", Code::kNotFound, "why"},
           {R"({"code":null,"message":null})", Code::kUnauthenticated, "401"},
           {"{\"code\":\"not_found\",\"message\":\"\xff\xfe\"}", Code::kUnauthenticated, "401"},
           {R"({"code":"not_found","message":"\ud800"})", Code::kUnauthenticated, "401"},
           {std::string(200000, '['), Code::kUnauthenticated, "401"},
           {std::string(200000, '[') + std::string(200000, ']'), Code::kUnauthenticated, "401"},
           {R"({"code":"not_found","message":")" + std::string(2 << 20, 'x') + "\"}",
            Code::kUnauthenticated, "401"},
           {R"({"code":"not_found","message":"the token tok-s3cr3t is not known"})",
            Code::kNotFound, "the token [redacted] is not known"}}) {
    UnaryRequest unary = request();
    unary.max_message = 8 << 20;
    UnaryAnswer answer = answered(http_answer(401, kJson, c.body), unary);
    std::string shown = c.body.substr(0, 80);
    EXPECT_EQ(answer.status.code(), c.code) << shown;
    EXPECT_THAT(answer.status.message(), HasSubstr(c.text)) << shown;
    EXPECT_THAT(answer.status.message(), Not(HasSubstr("s3cr3t")));
    EXPECT_LT(answer.status.message().size(), size_t{20000});
  }
}

TEST(Connect, DetailsAreBounded) {
  std::string details;
  for (int i = 0; i < 1000; ++i) details += R"({"type":"T","value":""},)";
  details.pop_back();
  UnaryAnswer answer =
      answered(http_answer(400, kJson, R"({"code":"internal","details":[)" + details + "]}"));
  EXPECT_EQ(answer.status.error().details.size(), 64u);
}

TEST(Connect, GzippedErrors) {
  UnaryAnswer answer =
      answered(http_answer(500, kJson + kGzip, *gzip(R"({"code":"data_loss","message":"gone"})")));
  EXPECT_EQ(answer.status.code(), Code::kDataLoss);
  EXPECT_EQ(answer.status.message(), "gone");
}

TEST(Connect, NoAnswerIsATransportError) {
  UnaryAnswer answer = call("http://127.0.0.1:" + std::to_string(test::closed_port()));
  EXPECT_EQ(answer.http_status, 0);
  EXPECT_EQ(answer.status.code(), Code::kUnavailable);
  EXPECT_EQ(call("ftp://x").status.code(), Code::kInvalidArgument);
  UnaryRequest bad = request();
  bad.token = Secret("two\nlines");
  UnaryAnswer refused = call("http://127.0.0.1:1", std::move(bad));
  EXPECT_EQ(refused.status.code(), Code::kInvalidArgument);
}

}  // namespace
}  // namespace depot::depotapi

#include "builderd/connect_codec.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "http2/gzip.h"

namespace depot::builderd {
namespace {

using base::Code;
using base::Hop;
using base::Status;

HttpRequest request(std::string body, http2::Headers more = {}) {
  HttpRequest out;
  out.method = "POST";
  out.path = "/s/M";
  out.headers.add("content-type", "application/proto");
  for (const auto& header : more) out.headers.add(header.name, header.value);
  out.body = std::move(body);
  return out;
}

HttpResponse refusal_of(HttpRequest asked, ConnectLimits limits = {}) {
  ConnectCall call;
  HttpResponse refusal;
  EXPECT_FALSE(decode_connect(std::move(asked), limits, call, refusal));
  return refusal;
}

TEST(Gzip, PacksAndUnpacks) {
  std::string text(100'000, 'x');
  text += std::string("\0\1\2", 3);
  std::string packed = http2::gzip(text);
  EXPECT_LT(packed.size(), 1000u);
  auto back = http2::gunzip(packed, text.size());
  ASSERT_TRUE(back.ok());
  EXPECT_EQ(*back, text);
  EXPECT_EQ(*http2::gunzip(packed + http2::gzip("tail"), 1 << 20), text + "tail");
  EXPECT_EQ(*http2::gunzip(http2::gzip(""), 10), "");
}

TEST(Gzip, RefusesWhatIsCutOffDamagedOrTooLarge) {
  std::string packed = http2::gzip(std::string(100'000, 'x') + "end");
  for (size_t n = 0; n < packed.size(); ++n) {
    EXPECT_EQ(http2::gunzip(packed.substr(0, n), 1 << 20).status().code(), Code::kInvalidArgument)
        << n;
  }
  std::string damaged = packed;
  damaged[damaged.size() - 6] ^= 1;  // of the checksum
  EXPECT_EQ(http2::gunzip(damaged, 1 << 20).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(http2::gunzip(packed + "garbage", 1 << 20).status().code(), Code::kInvalidArgument);
  EXPECT_EQ(http2::gunzip(packed, 100'002).status().code(), Code::kResourceExhausted);
}

TEST(ConnectCodec, DecodesACall) {
  ConnectCall call;
  HttpResponse refusal;
  ASSERT_TRUE(
      decode_connect(request(http2::gzip("message"), {{"content-encoding", "gzip"},
                                                      {"accept-encoding", "br, gzip;q=0.5"},
                                                      {"connect-protocol-version", "1"},
                                                      {"connect-timeout-ms", "9999999999"}}),
                     {}, call, refusal));
  EXPECT_EQ(call.path, "/s/M");
  EXPECT_EQ(call.message, "message");
  EXPECT_TRUE(call.accepts_gzip);
  EXPECT_EQ(call.timeout->count(), 9'999'999'999);
}

TEST(ConnectCodec, KnowsWhoTakesGzip) {
  for (auto [value, wanted] : {std::pair("gzip", true),
                               {"identity, GZIP", true},
                               {"gzip;q=0", false},
                               {"gzip;q=0.0", false},
                               {"", false},
                               {"deflate", false},
                               {"xgzip", false}}) {
    ConnectCall call;
    HttpResponse refusal;
    ASSERT_TRUE(decode_connect(request("", {{"accept-encoding", value}}), {}, call, refusal));
    EXPECT_EQ(call.accepts_gzip, wanted) << value;
  }
}

TEST(ConnectCodec, RefusesInTheProtocolsWords) {
  EXPECT_EQ(refusal_of(request("", {{"connect-protocol-version", "2"}})).status, 400);
  for (const char* timeout : {"", "-1", "1s", "12345678901", "1.5", " 1"}) {
    EXPECT_EQ(refusal_of(request("", {{"connect-timeout-ms", timeout}})).status, 400) << timeout;
  }
  HttpResponse unknown = refusal_of(request("x", {{"content-encoding", "br"}}));
  EXPECT_EQ(unknown.status, 501);
  EXPECT_EQ(unknown.headers.find("accept-encoding"), "gzip");
  EXPECT_EQ(refusal_of(request("x", {{"content-encoding", "gzip"}})).status, 400);
  ConnectLimits small;
  small.max_message = 10;
  EXPECT_EQ(refusal_of(request(std::string(11, 'x')), small).status, 429);
  HttpResponse bomb = refusal_of(
      request(http2::gzip(std::string(1 << 20, 'x')), {{"content-encoding", "gzip"}}), small);
  EXPECT_EQ(bomb.status, 429);
  EXPECT_EQ(nlohmann::json::parse(bomb.body)["code"], "resource_exhausted");
}

TEST(ConnectCodec, RefusesInHttpsWords) {
  HttpRequest get = request("");
  get.method = "GET";
  EXPECT_EQ(refusal_of(get).status, 405);
  HttpRequest json = request("");
  json.headers = {{"content-type", "application/json"}};
  HttpResponse refused = refusal_of(json);
  EXPECT_EQ(refused.status, 415);
  EXPECT_EQ(refused.headers.find("accept-post"), "application/proto");
}

TEST(ConnectCodec, EncodesErrorsWithDetailsAndMetadata) {
  base::Error error;
  error.code = Code::kFailedPrecondition;
  error.message = "no \"way\" \xff";
  error.details.push_back({"type.googleapis.com/a.b.C", std::string("\0\xff\x10\x83", 4)});
  ConnectReply reply{Status(error)};
  reply.headers.add("x-a", "1");
  reply.trailers.add("x-b", "2");
  HttpResponse response = encode_connect(std::move(reply), true, {});
  EXPECT_EQ(response.status, 400);
  EXPECT_EQ(response.headers.find("content-type"), "application/json");
  EXPECT_EQ(response.headers.find("x-a"), "1");
  EXPECT_EQ(response.headers.find("trailer-x-b"), "2");
  auto json = nlohmann::json::parse(response.body);
  EXPECT_EQ(json["code"], "failed_precondition");
  EXPECT_EQ(json["message"], "no \"way\" \xef\xbf\xbd");
  EXPECT_EQ(json["details"][0]["type"], "a.b.C");
  EXPECT_EQ(json["details"][0]["value"], "AP8Qgw");
}

TEST(ConnectCodec, PacksLargeAnswersForThoseWhoTakeIt) {
  std::string large(10'000, 'x');
  HttpResponse plain = encode_connect(base::Result<std::string>(large), false, {});
  EXPECT_EQ(plain.body, large);
  EXPECT_FALSE(plain.headers.find("content-encoding"));
  HttpResponse packed = encode_connect(base::Result<std::string>(large), true, {});
  EXPECT_EQ(packed.headers.find("content-encoding"), "gzip");
  EXPECT_EQ(*http2::gunzip(packed.body, 1 << 20), large);
  HttpResponse small = encode_connect(base::Result<std::string>(std::string("x")), true, {});
  EXPECT_EQ(small.body, "x");
}

TEST(ConnectCodec, KnowsEveryCode) {
  // From the protocol's specification.
  const std::pair<const char*, int> table[] = {{"canceled", 499},
                                               {"unknown", 500},
                                               {"invalid_argument", 400},
                                               {"deadline_exceeded", 504},
                                               {"not_found", 404},
                                               {"already_exists", 409},
                                               {"permission_denied", 403},
                                               {"resource_exhausted", 429},
                                               {"failed_precondition", 400},
                                               {"aborted", 409},
                                               {"out_of_range", 400},
                                               {"unimplemented", 501},
                                               {"internal", 500},
                                               {"unavailable", 503},
                                               {"data_loss", 500},
                                               {"unauthenticated", 401}};
  int number = 0;
  for (auto [name, status] : table) {
    Code code = static_cast<Code>(++number);
    EXPECT_EQ(connect_code_name(code), name);
    EXPECT_EQ(connect_http_status(code), status) << name;
  }
}

}  // namespace
}  // namespace depot::builderd

#include "buildkit/answer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace depot::buildkit {
namespace {

using base::Code;
using http2::Headers;
using testing::HasSubstr;

TEST(Answer, OfGrpcIsOne) {
  EXPECT_TRUE(not_grpc(Headers{{":status", "200"}, {"content-type", "application/grpc"}}).ok());
  EXPECT_TRUE(
      not_grpc(Headers{{":status", "200"}, {"content-type", "application/grpc+proto"}}).ok());
  EXPECT_TRUE(
      not_grpc(
          Headers{{":status", "503"}, {"content-type", "application/grpc"}, {"grpc-status", "14"}})
          .ok())
      << "gRPC's own status stands before HTTP's";
}

TEST(Answer, OfHttpIsToldAsGrpcsRulesHaveIt) {
  struct Case {
    const char* status;
    Code code;
  };
  for (const auto& one : {Case{"400", Code::kInternal}, Case{"401", Code::kUnauthenticated},
                          Case{"403", Code::kPermissionDenied}, Case{"404", Code::kUnimplemented},
                          Case{"429", Code::kUnavailable}, Case{"502", Code::kUnavailable},
                          Case{"503", Code::kUnavailable}, Case{"504", Code::kUnavailable},
                          Case{"200", Code::kUnknown}, Case{"500", Code::kUnknown}}) {
    auto status = not_grpc(Headers{{":status", one.status}, {"content-type", "text/html"}});
    EXPECT_EQ(status.code(), one.code) << one.status;
    EXPECT_THAT(status.message(), HasSubstr(one.status));
    EXPECT_THAT(status.message(), HasSubstr("text/html"));
  }
  EXPECT_FALSE(not_grpc(Headers{}).ok());
}

TEST(Answer, TrailersSayHowItWent) {
  EXPECT_TRUE(status_of_trailers(Headers{{"grpc-status", "0"}, {"grpc-message", "fine"}}).ok());
  auto status =
      status_of_trailers(Headers{{"grpc-status", "5"}, {"grpc-message", "100%25 %C3%A4h %zz %"}});
  EXPECT_EQ(status.code(), Code::kNotFound);
  EXPECT_EQ(status.message(), "100% \xc3\xa4h %zz %");
  for (const char* odd : {"", "x", "-1", "1x", "99999999999"})
    EXPECT_EQ(status_of_trailers(Headers{{"grpc-status", odd}}).code(), Code::kUnknown) << odd;
  EXPECT_EQ(status_of_trailers(Headers{}).code(), Code::kUnknown);
}

TEST(Answer, DetailsAreReadWithAndWithoutPadding) {
  // google.rpc.Status{details: Any{type_url: "t", value: "v"}}
  for (const char* text : {"GgYKAXQSAXY", "GgYKAXQSAXY="}) {
    auto status =
        status_of_trailers(Headers{{"grpc-status", "2"}, {"grpc-status-details-bin", text}});
    ASSERT_EQ(status.error().details.size(), 1u) << text;
    EXPECT_EQ(status.error().details[0].type_url, "t");
    EXPECT_EQ(status.error().details[0].value, "v");
  }
  EXPECT_TRUE(status_of_trailers(Headers{{"grpc-status", "2"}, {"grpc-status-details-bin", "!!"}})
                  .error()
                  .details.empty());
}

TEST(Answer, ResetsHaveCodes) {
  EXPECT_EQ(status_of_reset(7).code(), Code::kUnavailable);
  EXPECT_TRUE(status_of_reset(7).error().retryable);
  EXPECT_EQ(status_of_reset(8).code(), Code::kCancelled);
  EXPECT_EQ(status_of_reset(11).code(), Code::kResourceExhausted);
  EXPECT_EQ(status_of_reset(12).code(), Code::kPermissionDenied);
  EXPECT_EQ(status_of_reset(2).code(), Code::kInternal);
  EXPECT_THAT(status_of_reset(2).message(), HasSubstr("INTERNAL_ERROR"));
  EXPECT_THAT(status_of_reset(0x4321).message(), HasSubstr("17185"));
}

}  // namespace
}  // namespace depot::buildkit

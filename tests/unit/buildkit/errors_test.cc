#include "buildkit/errors.h"

#include <google/rpc/status.pb.h>
#include <gtest/gtest.h>

namespace depot::buildkit {
namespace {

using base::Code;
using base::Hop;

std::string details(std::initializer_list<std::pair<std::string, std::string>> list) {
  google::rpc::Status status;
  status.set_code(2);
  for (const auto& [type, value] : list) {
    auto* any = status.add_details();
    any->set_type_url(type);
    any->set_value(value);
  }
  return status.SerializeAsString();
}

TEST(Errors, ReadsVertexSourceAndExitCode) {
  // What buildkitd v0.34 sends for a failing RUN.
  auto status = status_from_grpc(
      2, "process \"/bin/sh -c exit 3\" did not complete successfully: exit code: 3",
      details(
          {{"github.com/moby/buildkit/errdefs.Vertex+json", R"({"digest":"sha256:abc"})"},
           {"github.com/moby/buildkit/errdefs.Source+json",
            R"({"info":{"filename":"Dockerfile","data":"RlJPTSBzY3JhdGNoClJVTiBleGl0IDM=","language":"Dockerfile"},"ranges":[{"start":{"line":2},"end":{"line":2,"character":4}}]})"},
           {"github.com/moby/buildkit/stack.Stack+json", "{}"},
           {"type.example/unknown", std::string("\0\x01", 2)}}),
      Hop::kSolve);
  const auto& error = status.error();
  EXPECT_EQ(error.code, Code::kUnknown);
  EXPECT_EQ(error.vertex_digest, "sha256:abc");
  ASSERT_EQ(error.sources.size(), 1u);
  EXPECT_EQ(error.sources[0].filename, "Dockerfile");
  EXPECT_EQ(error.sources[0].data, "FROM scratch\nRUN exit 3");
  ASSERT_EQ(error.sources[0].ranges.size(), 1u);
  EXPECT_EQ(error.sources[0].ranges[0].start_line, 2);
  EXPECT_EQ(error.sources[0].ranges[0].end_character, 4);
  EXPECT_EQ(error.exit_code, 3);
  EXPECT_EQ(error.details.size(), 4u) << "unknown details are kept";
}

TEST(Errors, SurvivesHostileDetails) {
  std::string deep(100000, '[');
  for (const std::string& json :
       {deep, std::string("{"), std::string("null"), std::string("{\"digest\":5}"),
        std::string(R"({"ranges":[{"start":{"line":1e300},"end":null}],"info":7})"),
        std::string(R"({"ranges":{"start":1}})")}) {
    for (const char* type :
         {"errdefs.Vertex+json", "errdefs.Source+json", "gatewayapi.ExitMessage+json"}) {
      auto status = status_from_grpc(
          2, "x", details({{std::string("github.com/moby/buildkit/") + type, json}}), Hop::kSolve);
      EXPECT_EQ(status.error().details.size(), 1u);
    }
  }
  EXPECT_FALSE(status_from_grpc(2, "x", "\xff\xff\xff", Hop::kSolve).ok());
  EXPECT_EQ(status_from_grpc(99, "x", "", Hop::kSolve).code(), Code::kUnknown);
  EXPECT_EQ(
      status_from_grpc(2, "exit code: 99999999999999999999", "", Hop::kSolve).error().exit_code > 0,
      true);
}

TEST(Errors, TellsCertificatesFromUnreachable) {
  auto verify =
      connect_error("tcp://h:1",
                    "failed to connect to all addresses; last error: UNKNOWN: ipv4:127.0.0.1:1: "
                    "Ssl handshake failed: SSL_ERROR_SSL: error:0A000086:SSL "
                    "routines::certificate verify failed");
  EXPECT_EQ(verify.code(), Code::kUnauthenticated);
  auto refused = connect_error("tcp://h:1",
                               "failed to connect to all addresses; last error: UNAVAILABLE: "
                               "ipv4:127.0.0.1:1: Connection refused");
  EXPECT_EQ(refused.code(), Code::kUnavailable);
  EXPECT_TRUE(refused.error().retryable);
  auto old = connect_error("tcp://h:1",
                           "failed to connect to all addresses; last error: UNKNOWN: "
                           "ipv4:127.0.0.1:1: Cannot check peer: missing selected ALPN property.");
  EXPECT_EQ(old.code(), Code::kFailedPrecondition);
  EXPECT_NE(old.message().find("v0.17"), std::string::npos);
}

}  // namespace
}  // namespace depot::buildkit

// Against lines made by BuildKit's own types and Go's encoder (golden.go).
#include "progress/rawjson.h"

#include <gtest/gtest.h>
#include <moby/buildkit/v1/control.pb.h>

#include <fstream>
#include <random>

namespace depot::progress {
namespace {

std::string base64_decode(const std::string& text) {
  const std::string digits = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
  std::string out;
  uint32_t bits = 0;
  int have = 0;
  for (char c : text) {
    if (c == '=') break;
    bits = bits << 6 | static_cast<uint32_t>(digits.find(c));
    if ((have += 6) >= 8) {
      have -= 8;
      out.push_back(static_cast<char>(bits >> have & 0xff));
    }
  }
  return out;
}

TEST(RawJson, EqualsBuildctlsByteForByte) {
  std::ifstream golden(DEPOT_GOLDEN);
  std::string wire;
  std::string line;
  int count = 0;
  while (std::getline(golden, wire) && std::getline(golden, line)) {
    ::moby::buildkit::v1::StatusResponse status;
    ASSERT_TRUE(status.ParseFromString(base64_decode(wire))) << wire;
    EXPECT_EQ(rawjson(status), line);
    ++count;
  }
  EXPECT_EQ(count, 60);
}

TEST(RawJson, SurvivesTimesThatAreNone) {
  ::moby::buildkit::v1::StatusResponse status;
  for (int64_t seconds : {INT64_MIN, INT64_MAX, int64_t{-1} << 40, int64_t{1} << 56}) {
    for (int32_t nanos : {INT32_MIN, -1, 0, 1000000000, INT32_MAX}) {
      auto* log = status.add_logs();
      log->mutable_timestamp()->set_seconds(seconds);
      log->mutable_timestamp()->set_nanos(nanos);
    }
  }
  EXPECT_NE(rawjson(status).find("\"timestamp\":"), std::string::npos);
}

TEST(RawJson, SurvivesTextThatIsNotUtf8) {
  ::moby::buildkit::v1::StatusResponse status;
  status.add_vertexes()->set_name("a\xff\xc3(\xe2\x80\xed\xa0\x80\xf4\x90\x80\x80\xc3");
  EXPECT_EQ(rawjson(status),
            "{\"vertexes\":[{\"name\":\"a\\ufffd\\ufffd(\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd"
            "\\ufffd\\ufffd\\ufffd\\ufffd\\ufffd\"}]}");
}

}  // namespace
}  // namespace depot::progress

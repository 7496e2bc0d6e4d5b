#include "progress/rawjson_read.h"

#include <gtest/gtest.h>
#include <moby/buildkit/v1/control.pb.h>

#include <fstream>

#include "progress/rawjson.h"

namespace depot::progress {
namespace {

using moby::buildkit::v1::StatusResponse;

// What Go wrote (golden.go) comes back as the same bytes.
TEST(ReadRawjson, IsTheReverse) {
  std::ifstream golden(DEPOT_GOLDEN);
  int lines = 0;
  std::string wire, line;
  for (; std::getline(golden, wire) && std::getline(golden, line); ++lines) {
    StatusResponse batch;
    ASSERT_TRUE(read_rawjson(line, batch).ok()) << line;
    EXPECT_EQ(rawjson(batch), line);
  }
  EXPECT_GT(lines, 0);
}

TEST(ReadRawjson, TakesTimesOfAnyZoneAndWhatItDoesNotKnow) {
  StatusResponse batch;
  ASSERT_TRUE(read_rawjson(R"({"vertexes":[{"digest":"a","started":"2026-01-01T01:00:00.5+01:00",)"
                           R"("completed":"2025-12-31T19:30:00-04:30","new":[1]}],"other":{}})",
                           batch)
                  .ok());
  EXPECT_EQ(batch.vertexes(0).started().seconds(), 1767225600);
  EXPECT_EQ(batch.vertexes(0).started().nanos(), 500000000);
  EXPECT_EQ(batch.vertexes(0).completed().seconds(), 1767225600);
}

TEST(ReadRawjson, RefusesWhatIsNoBatch) {
  for (std::string line :
       {std::string(""), std::string("null"), std::string("[]"), std::string("{"),
        std::string("ERROR: failed"), std::string(R"({"vertexes":{}})"),
        std::string(R"({"vertexes":[1]})"), std::string(R"({"vertexes":[{"digest":1}]})"),
        std::string(R"({"vertexes":[{"started":"yesterday"}]})"),
        std::string(R"({"vertexes":[{"started":"2026-01-01T00:00:00"}]})"),
        std::string(R"({"logs":[{"data":"a"}]})"), std::string(R"({"logs":[{"data":"=aaa"}]})"),
        std::string(R"({"statuses":[{"current":"1"}]})"),
        std::string(R"({"warnings":[{"sourceInfo":{"definition":{"def":[1]}}}]})"),
        "{\"x\":" + std::string(100000, '[') + std::string(100000, ']') + "}"}) {
    StatusResponse batch;
    base::Status status = read_rawjson(line, batch);
    EXPECT_EQ(status.code(), base::Code::kInvalidArgument) << line.substr(0, 100);
  }
}

}  // namespace
}  // namespace depot::progress

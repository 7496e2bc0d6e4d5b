#include "solve/result.h"

#include <gtest/gtest.h>

namespace depot::solve {
namespace {

const Response kResponse = {
    {"containerimage.digest", "sha256:abc"},
    {"containerimage.descriptor",
     "eyJtZWRpYVR5cGUiOiJhcHBsaWNhdGlvbi92bmQub2NpLmltYWdlLm1hbmlmZXN0LnYxK2pzb24iLCJkaWdlc3QiOiJza"
     "GEyNTY6YWJjIiwic2l6ZSI6MTIzNCwiYW5ub3RhdGlvbnMiOnsieiI6IjwmPiIsImEiOiJ4In0sImxpc3QiOlsxLDIuNS"
     "x0cnVlLG51bGwsW10se31dfQ=="},
    {"image.name", "docker.io/library/a:1,b<c>&d"},
    {"empty", ""},
    {"spaced", "IAp7ImEiOiAxfQ=="},
    {"emptyobject", "e30="},
    {"array", "WzFd"},
    {"text", "aGVsbG8="},
    {"word", "abcd"},
    {"cut", "eyJhIjox"},
    {"odd", "a\"b\\c\n\t\xe2\x80\xa8ä"},
};

TEST(Result, MetadataEqualsBuildctls) {
  // Printed by the code of buildctl's writeMetadataFile.
  EXPECT_EQ(metadata_json(kResponse), R"({
  "array": "WzFd",
  "containerimage.descriptor": {
    "mediaType": "application/vnd.oci.image.manifest.v1+json",
    "digest": "sha256:abc",
    "size": 1234,
    "annotations": {
      "z": "\u003c\u0026\u003e",
      "a": "x"
    },
    "list": [
      1,
      2.5,
      true,
      null,
      [],
      {}
    ]
  },
  "containerimage.digest": "sha256:abc",
  "cut": "eyJhIjox",
  "empty": "",
  "emptyobject": "e30=",
  "image.name": "docker.io/library/a:1,b\u003cc\u003e\u0026d",
  "odd": "a\"b\\c\n\t\u2028ä",
  "spaced": {
    "a": 1
  },
  "text": "aGVsbG8=",
  "word": "abcd"
})");
  EXPECT_EQ(metadata_json({}), "{}");
}

TEST(Result, ReadsTheDescriptor) {
  EXPECT_EQ(value_of(kResponse, "containerimage.digest"), "sha256:abc");
  EXPECT_EQ(value_of(kResponse, "none"), "");
  EXPECT_EQ(descriptor_of(kResponse).substr(0, 13), "{\"mediaType\":");
  EXPECT_EQ(descriptor_of({}), "");
  EXPECT_EQ(descriptor_of({{"containerimage.descriptor", "not base64!"}}), "");
}

TEST(Result, SurvivesHostileValues) {
  // Too deep by far, no base64, not UTF-8.
  std::string deep;
  for (int i = 0; i < 10000; ++i)
    deep +=
        "eyJh"
        "Ijpb";  // {"a":[
  EXPECT_NE(metadata_json({{"a", deep}}).find("eyJhIjpb"), std::string::npos);
  EXPECT_FALSE(metadata_json({{"a\xff", "b\xff"}}).empty());
  EXPECT_FALSE(metadata_json({{"a", "===="}, {"b", "a==="}, {"c", "=aaa"}}).empty());
}

}  // namespace
}  // namespace depot::solve

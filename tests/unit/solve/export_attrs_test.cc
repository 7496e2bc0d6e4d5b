#include "solve/export_attrs.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace depot::solve {
namespace {

struct Case {
  const char* type;
  const char* key;
  const char* value;
};

TEST(ExportAttrs, ThoseThatABuilderTakesPass) {
  const std::vector<Case> table = {
      {"image", "push", ""},
      {"image", "push", "t"},
      {"oci", "tar", ""},
      {"docker", "tar", "False"},
      {"oci", "oci-mediatypes", "true"},
      {"image", "compression", "estargz"},
      {"image", "compression-level", "-1"},  // the library's own default
      {"oci", "source-date-epoch", "-5"},
      {"local", "source-date-epoch", ""},
      {"local", "mode", " Delete "},
      {"local", "mode", ""},
      {"tar", "platform-split", "1"},
      {"image", "unheard-of", "whatever"},
      {"local", "compression", "none"},  // means nothing there
  };
  for (const auto& one : table) {
    auto status = check_export_attr(one.type, one.key, one.value);
    EXPECT_TRUE(status.ok()) << one.type << " " << one.key << "=" << one.value << ": "
                             << status.message();
  }
}

TEST(ExportAttrs, ThoseThatItWouldRefuseAreRefusedHere) {
  const std::vector<Case> table = {
      {"image", "push", "yes"},          {"oci", "tar", "no"},
      {"oci", "oci-mediatypes", ""},     {"docker", "rewrite-timestamp", "on"},
      {"image", "compression", ""},      {"image", "compression", "lzma"},
      {"oci", "compression-level", "a"}, {"oci", "compression-level", "99999999999999999999"},
      {"tar", "source-date-epoch", "x"}, {"local", "mode", "move"},
      {"local", "platform-split", ""},
  };
  for (const auto& one : table) {
    auto status = check_export_attr(one.type, one.key, one.value);
    EXPECT_EQ(status.code(), base::Code::kInvalidArgument)
        << one.type << " " << one.key << "=" << one.value;
    EXPECT_NE(status.message().find(one.key), std::string::npos) << status.message();
  }
}

}  // namespace
}  // namespace depot::solve

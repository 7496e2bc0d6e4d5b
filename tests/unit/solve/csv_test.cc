#include "solve/csv.h"

#include <gtest/gtest.h>

namespace depot::solve {
namespace {

using Fields = std::vector<std::string>;

// Answers of Go's encoding/csv; empty: refused.
TEST(Csv, EqualsGos) {
  const std::pair<const char*, Fields> table[] = {
      {"a", {"a"}},
      {"a,b", {"a", "b"}},
      {"a,,b", {"a", "", "b"}},
      {",", {"", ""}},
      {"a,", {"a", ""}},
      {"\"a\"", {"a"}},
      {"\"a,b\",c", {"a,b", "c"}},
      {"\"a\"\"b\"", {"a\"b"}},
      {"a\"b", {}},
      {"\"a\"b", {}},
      {"\"a", {}},
      {"a b, c ", {"a b", " c "}},
      {"type=oci,dest=x", {"type=oci", "dest=x"}},
      {" \"a\"", {}},
      {"\"a\nb\",c", {"a\nb", "c"}},
      {"\"\"", {""}},
      {"\"\",\"\"", {"", ""}},
      {"a=\"b\"", {}},
      {"ä,ö", {"ä", "ö"}},
      {"\"", {}},
      {"\"\"\"\"", {"\""}},
  };
  for (const auto& [line, fields] : table) {
    auto parsed = parse_csv(line);
    EXPECT_EQ(parsed.ok() ? *parsed : Fields{}, fields) << line;
    if (!parsed.ok()) {
      EXPECT_EQ(parsed.status().hop(), base::Hop::kUsage);
    }
  }
}

TEST(Csv, IsOneRecord) {
  EXPECT_FALSE(parse_csv("a\nb").ok());
  EXPECT_FALSE(parse_csv("a\r\n").ok());
}

}  // namespace
}  // namespace depot::solve

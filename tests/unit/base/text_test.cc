// Texts that carry other things: base64, JSON.
#include <gtest/gtest.h>

#include <string>

#include "base/base64.h"
#include "base/clock.h"
#include "base/json_depth.h"

namespace depot::base {
namespace {

TEST(Base64, GoesRoundAndRefusesTheRest) {
  for (size_t size = 0; size < 70; ++size) {
    std::string bytes;
    for (size_t i = 0; i < size; ++i) bytes += static_cast<char>(i * 37 + size);
    std::string padded = base64_encode(bytes);
    EXPECT_EQ(base64_decode(padded), bytes);
    EXPECT_EQ(base64_encode(bytes, Padding::kNo), padded.substr(0, padded.find('=')));
  }
  EXPECT_EQ(base64_encode("user:pass"), "dXNlcjpwYXNz");
  EXPECT_EQ(base64_decode("dXNl\r\ncjpw\nYXNz"), "user:pass");
  for (const char* odd :
       {"a", "ab", "abc", "ab=", "abc==", "=", "a=bc", "ab==ab==", "ab-_", "ab c"})
    EXPECT_EQ(base64_decode(odd), std::nullopt) << odd;
}

TEST(JsonDepth, CountsWhatIsNotQuoted) {
  std::string deep = std::string(64, '[') + std::string(64, ']');
  EXPECT_TRUE(json_is_shallow(deep));
  EXPECT_FALSE(json_is_shallow("[" + deep + "]"));
  EXPECT_TRUE(json_is_shallow("[\"" + std::string(100, '{') + "\"]"));
  EXPECT_FALSE(json_is_shallow("[\"\\\"\"" + std::string(64, '{')));
  EXPECT_FALSE(json_is_shallow("{{{", 2));
  EXPECT_TRUE(json_is_shallow("]]]]{}", 1));
}

TEST(LimitText, IsTheLimitThatWasGiven) {
  using std::chrono::milliseconds;
  EXPECT_EQ(limit_text(milliseconds(2000)), "2 s");
  EXPECT_EQ(limit_text(milliseconds(1999)), "2 s");
  EXPECT_EQ(limit_text(milliseconds(19992)), "20 s");
  EXPECT_EQ(limit_text(milliseconds(2500)), "2500 ms");
  EXPECT_EQ(limit_text(milliseconds(7)), "7 ms");
}

}  // namespace
}  // namespace depot::base

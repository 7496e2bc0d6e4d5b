// What the wire's bytes are turned into: UTF-8, base64, gzip.
#include "depotapi/text.h"

#include <gtest/gtest.h>

#include "depotapi/base64.h"
#include "depotapi/gzip.h"

namespace depot::depotapi {
namespace {

using base::Code;

TEST(Text, Utf8) {
  for (const char* good :
       {"", "abc", "\xc3\xa9", "\xe2\x82\xac", "\xf0\x9f\x98\x80", "\xed\x9f\xbf"})
    EXPECT_TRUE(valid_utf8(good)) << good;
  for (const char* bad : {"\x80", "\xc0\xaf", "\xc3", "\xe0\x80\xaf", "\xed\xa0\x80",
                          "\xf4\x90\x80\x80", "\xf8\x88\x80\x80\x80", "a\xff"})
    EXPECT_FALSE(valid_utf8(bad));
  EXPECT_EQ(clean_utf8("a\xff\xc3(", 100), "a\xef\xbf\xbd\xef\xbf\xbd(");
  EXPECT_EQ(clean_utf8("ab\xe2\x82\xac", 4), "ab") << "no half characters";
  EXPECT_EQ(clean_line("a\nb\x1b[0m\x7f", 100), "a b [0m ");
  EXPECT_EQ(trimmed(" \t\r\n a b \n"), "a b");
  EXPECT_EQ(trimmed(" \n"), "");
}

TEST(Text, Redaction) {
  base::Secret secret("tok-123");
  EXPECT_EQ(redacted("Bearer tok-123, tok-123!", secret), "Bearer [redacted], [redacted]!");
  EXPECT_EQ(redacted("abc", base::Secret("ab")), "abc") << "too short to be worth it";
  EXPECT_EQ(redacted("abc", base::Secret()), "abc");
}

TEST(Base64, BothAlphabetsPaddedOrNot) {
  EXPECT_EQ(base64_decode("aGk"), "hi");
  EXPECT_EQ(base64_decode("aGk="), "hi");
  EXPECT_EQ(base64_decode("-_-_"), base64_decode("+/+/"));
  EXPECT_EQ(base64_decode(""), "");
  for (const char* bad : {"a", "a===", "aGk==", "a*k=", "=", "aG k", "aGk=x"})
    EXPECT_EQ(base64_decode(bad), std::nullopt) << bad;
  for (std::string bytes : {"", "a", "ab", "abc", "\xff\xfe\xfd\xfc"})
    EXPECT_EQ(base64_decode(base64url_encode(bytes)), bytes);
}

TEST(Gzip, ThereAndBack) {
  for (size_t size : {size_t{0}, size_t{1}, size_t{16384}, size_t{1000000}}) {
    std::string text(size, 'x');
    auto packed = gzip(text);
    ASSERT_TRUE(packed.ok());
    auto back = gunzip(*packed, size);
    ASSERT_TRUE(back.ok()) << size << ": " << back.status().message();
    EXPECT_EQ(*back, text);
    if (size == 0) continue;
    EXPECT_EQ(gunzip(*packed, size - 1).status().code(), Code::kResourceExhausted);
  }
}

TEST(Gzip, MembersInARowAreOneText) {
  EXPECT_EQ(*gunzip(*gzip("one ") + *gzip("") + *gzip("two"), 100), "one two");
}

TEST(Gzip, BrokenDataIsAnError) {
  std::string good = *gzip("some text that is packed");
  std::string flipped = good;
  flipped[good.size() - 6] ^= 1;  // the checksum
  for (const std::string& bad : {std::string("x"), std::string("no gzip at all, not even close"),
                                 good.substr(0, good.size() - 1), good.substr(0, 12), good + "tail",
                                 flipped, std::string("\x1f\x8b")})
    EXPECT_EQ(gunzip(bad, 1000).status().code(), Code::kInternal);
}

}  // namespace
}  // namespace depot::depotapi

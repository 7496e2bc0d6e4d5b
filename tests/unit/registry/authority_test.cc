// Against signatures that Go's crypto/ed25519 and crypto/hmac made, as BuildKit's own client does.
#include "registry/authority.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace depot::registry {
namespace {

std::string hex(std::string_view bytes) {
  static constexpr char kDigits[] = "0123456789abcdef";
  std::string out;
  for (char c : bytes) {
    auto byte = static_cast<unsigned char>(c);
    out += kDigits[byte >> 4];
    out += kDigits[byte & 15];
  }
  return out;
}

std::string salt() {
  std::string out;
  for (char i = 0; i < 32; ++i) out += i;
  return out;
}

struct Vector {
  std::string_view seed, key, signature;
};
constexpr std::string_view kPayload = "payload of the builder";
constexpr Vector kVectors[] = {
    {"0123456789abcdef", "e8fc5aa623ea69e8e91f30d0d1c6ae53c1d4b87660865a2108bb4879071d2603",
     "6ec58306b30a0794fc9500e26af4fd49b87248a46a44aa9eefbbf73a5164a772"
     "c2b0d6371b33734992814cef379774f6c4f89ed900257cecf8147cc55adfa203"},
    {"", "040621616cad1cec87d58de663a3da915dc2bf8afbd0bd361931d2c207644cc4",
     "0219c9531c1713857bf8169a6c2b3bee649cf6da41288e07b88ad73513669d7d"
     "3cad047359d514ae5dc02e9b4053424c572fedf13788571478b40050507abe05"},
};

TEST(Authority, KeysAndSignaturesAreThoseOfGo) {
  for (const Vector& vector : kVectors) {
    auto key = authority_key(salt(), vector.seed);
    ASSERT_TRUE(key.ok());
    auto pub = authority_public(*key);
    ASSERT_TRUE(pub.ok());
    EXPECT_EQ(hex({reinterpret_cast<const char*>(pub->data()), pub->size()}), vector.key);
    auto signed_text = authority_sign(*key, kPayload);
    ASSERT_TRUE(signed_text.ok());
    EXPECT_EQ(hex(std::string_view(*signed_text).substr(0, 64)), vector.signature);
    EXPECT_EQ(signed_text->substr(64), kPayload);
  }
}

TEST(Authority, TakesEmptyAndBinaryInput) {
  auto key = authority_key("", "");
  ASSERT_TRUE(key.ok());
  auto nothing = authority_sign(*key, "");
  ASSERT_TRUE(nothing.ok());
  EXPECT_EQ(nothing->size(), 64U);
  std::string binary("\0\xff\0", 3);
  auto signed_binary = authority_sign(*key, binary);
  ASSERT_TRUE(signed_binary.ok());
  EXPECT_EQ(signed_binary->substr(64), binary);
}

}  // namespace
}  // namespace depot::registry

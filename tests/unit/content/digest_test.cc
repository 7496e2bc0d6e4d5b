#include "content/digest.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace depot::content {
namespace {

const std::string kEmpty = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";

TEST(Digest, IsAnAlgorithmAndItsDigits) {
  EXPECT_EQ(Digest::parse("sha256:" + kEmpty)->text(), "sha256:" + kEmpty);
  EXPECT_TRUE(Digest::parse("sha384:" + std::string(96, '0')).ok());
  EXPECT_TRUE(Digest::parse("sha512:" + std::string(128, 'a')).ok());
}

TEST(Digest, NothingElseBecomesAPath) {
  const std::vector<std::string> wrong = {"",
                                          kEmpty,
                                          "sha256:",
                                          "sha256:" + kEmpty.substr(1),
                                          "sha256:" + kEmpty + "0",
                                          "SHA256:" + kEmpty,
                                          "sha256:" + std::string(64, 'A'),
                                          "md5:" + std::string(32, '0'),
                                          "sha256:../../../../etc/passwd" + std::string(35, '0'),
                                          std::string("sha256:\0", 8),
                                          "sha512:" + kEmpty,
                                          ":" + kEmpty,
                                          "sha256::" + kEmpty.substr(1),
                                          std::string(1000, ':')};
  for (const auto& text : wrong) {
    auto parsed = Digest::parse(text);
    ASSERT_FALSE(parsed.ok()) << text;
    EXPECT_EQ(parsed.status().code(), base::Code::kInvalidArgument);
    EXPECT_LT(parsed.status().message().size(), 300u);
  }
}

TEST(Hasher, GoesOnAfterADigest) {
  Hasher hasher;
  EXPECT_EQ(hasher.digest().hex, kEmpty);
  const uint8_t text[] = {'a', 'b', 'c'};
  hasher.add({text, 1});
  (void)hasher.digest();
  hasher.add({text + 1, 2});
  EXPECT_EQ(hasher.digest(), digest_of("abc"));
  EXPECT_EQ(digest_of("abc").hex,
            "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  hasher.restart();
  EXPECT_EQ(hasher.digest().hex, kEmpty);
  EXPECT_EQ(Hasher("sha512").digest().hex.size(), 128u);
}

}  // namespace
}  // namespace depot::content

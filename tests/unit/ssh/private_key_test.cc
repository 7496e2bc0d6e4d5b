// Keys as ssh-keygen writes them, and signatures that OpenSSL verifies with the public key that it
// reads by itself.
#include "ssh/private_key.h"

#include <openssl/bn.h>
#include <openssl/ecdsa.h>

#include "keys.h"

namespace depot::ssh {
namespace {

using base::Code;
using base::Secret;

struct Kind {
  std::string options, type, hash;
  uint32_t flags = 0;
  std::string algorithm;  // of the signature
};

class Keys : public TempKeys, public testing::WithParamInterface<Kind> {};

std::string raw_ed25519_pem(std::string_view open) {
  EVP_PKEY* key = EVP_PKEY_new_raw_public_key(
      EVP_PKEY_ED25519, nullptr, reinterpret_cast<const unsigned char*>(open.data()), open.size());
  BIO* bio = BIO_new(BIO_s_mem());
  PEM_write_bio_PUBKEY(bio, key);
  char* text = nullptr;
  long size = BIO_get_mem_data(bio, &text);
  std::string pem(text, static_cast<size_t>(size));
  BIO_free(bio);
  EVP_PKEY_free(key);
  return pem;
}

// DER of the two numbers.
std::string der_of(std::string_view numbers) {
  Reader fields(numbers);
  auto r = fields.string(), s = fields.string();
  if (!r || !s || !fields.rest().empty()) return "";
  auto number = [](std::string_view bytes) {
    return BN_bin2bn(reinterpret_cast<const unsigned char*>(bytes.data()),
                     static_cast<int>(bytes.size()), nullptr);
  };
  ECDSA_SIG* pair = ECDSA_SIG_new();
  ECDSA_SIG_set0(pair, number(*r), number(*s));
  unsigned char* der = nullptr;
  int size = i2d_ECDSA_SIG(pair, &der);
  std::string out(reinterpret_cast<char*>(der), static_cast<size_t>(size));
  OPENSSL_free(der);
  ECDSA_SIG_free(pair);
  return out;
}

TEST_P(Keys, SignWhatOpensslVerifies) {
  const Kind& kind = GetParam();
  std::string text = make("key", kind.options);
  auto key = PrivateKey::parse(Secret(text), "a name");
  ASSERT_TRUE(key.ok()) << key.status().message();
  bool openssh = text.find("OPENSSH") != std::string::npos;
  EXPECT_EQ(key->comment(), openssh ? "of key" : "a name");

  Reader blob(key->public_blob());
  EXPECT_EQ(blob.string().value_or(""), kind.type);
  std::string pem;
  if (kind.type == "ssh-ed25519") {
    pem = raw_ed25519_pem(blob.string().value_or(""));
  } else {
    run("ssh-keygen -e -m PKCS8 -f " + path("key.pub") + " > " + path("key.pem"));
    pem = text_of(path("key.pem"));
  }
  for (const std::string& data : {std::string(), std::string("data"), std::string(100000, 'x')}) {
    auto signature = key->sign(data, kind.flags);
    ASSERT_TRUE(signature.ok());
    Reader fields(*signature);
    EXPECT_EQ(fields.string().value_or(""), kind.algorithm);
    std::string bytes(fields.string().value_or(""));
    EXPECT_TRUE(fields.rest().empty());
    if (kind.type.starts_with("ecdsa")) bytes = der_of(bytes);
    EXPECT_TRUE(verifies(pem, kind.hash, data, bytes));
    EXPECT_FALSE(verifies(pem, kind.hash, data + "?", bytes));
  }
}

INSTANTIATE_TEST_SUITE_P(
    All, Keys,
    testing::Values(
        Kind{"-t rsa -b 2048", "ssh-rsa", "SHA256", 2, "rsa-sha2-256"},
        Kind{"-t rsa -b 2048", "ssh-rsa", "SHA512", 4, "rsa-sha2-512"},
        Kind{"-t rsa -b 2048", "ssh-rsa", "SHA512", 6, "rsa-sha2-512"},
        Kind{"-t rsa -b 2048", "ssh-rsa", "SHA1", 0, "ssh-rsa"},
        Kind{"-t rsa -b 2048 -m PEM", "ssh-rsa", "SHA256", 2, "rsa-sha2-256"},
        Kind{"-t rsa -b 2048 -m PKCS8", "ssh-rsa", "SHA256", 2, "rsa-sha2-256"},
        Kind{"-t ecdsa -b 256", "ecdsa-sha2-nistp256", "SHA256", 0, "ecdsa-sha2-nistp256"},
        Kind{"-t ecdsa -b 384", "ecdsa-sha2-nistp384", "SHA384", 0, "ecdsa-sha2-nistp384"},
        Kind{"-t ecdsa -b 521", "ecdsa-sha2-nistp521", "SHA512", 0, "ecdsa-sha2-nistp521"},
        Kind{"-t ecdsa -b 256 -m PEM", "ecdsa-sha2-nistp256", "SHA256", 0, "ecdsa-sha2-nistp256"},
        Kind{"-t ecdsa -b 256 -m PKCS8", "ecdsa-sha2-nistp256", "SHA256", 0, "ecdsa-sha2-nistp256"},
        Kind{"-t ed25519", "ssh-ed25519", "", 0, "ssh-ed25519"}));

TEST_F(TempKeys, ThePublicPartIsThatOfTheFileBesideIt) {
  for (const std::string options : {"-t rsa -b 2048", "-t ecdsa -b 521", "-t ed25519"}) {
    std::string name = "key" + options.substr(3, 2);
    auto key = PrivateKey::parse(Secret(make(name, options)), name);
    ASSERT_TRUE(key.ok());
    std::string encoded(key->public_blob().size() * 2, '\0');
    int size = EVP_EncodeBlock(reinterpret_cast<unsigned char*>(encoded.data()),
                               reinterpret_cast<const unsigned char*>(key->public_blob().data()),
                               static_cast<int>(key->public_blob().size()));
    encoded.resize(static_cast<size_t>(size));
    EXPECT_NE(text_of(path(name + ".pub")).find(" " + encoded + " "), std::string::npos);
  }
}

TEST_F(TempKeys, LockedOnesAreTold) {
  int number = 0;
  for (const std::string options : {"-t ed25519", "-t rsa -b 2048 -m PEM",
                                    "-t rsa -b 2048 -m PKCS8", "-t ecdsa -b 256 -m PEM"}) {
    auto key = PrivateKey::parse(
        Secret(make("key" + std::to_string(number++), options, "a passphrase")), "name");
    EXPECT_EQ(key.status().code(), Code::kFailedPrecondition) << options;
    EXPECT_NE(key.status().message().find("passphrase"), std::string::npos);
    EXPECT_NE(key.status().message().find("name"), std::string::npos);
  }
}

TEST_F(TempKeys, DamagedOnesAreRefused) {
  std::string text = make("key", "-t ed25519");
  size_t begin = text.find('\n') + 1, end = text.rfind("-----END");
  int refused = 0;
  for (size_t at = begin; at < end; ++at) {
    if (text[at] == '\n') continue;
    std::string broken = text;
    broken[at] = broken[at] == 'A' ? 'B' : 'A';
    // Some bits say nothing: the comment, base64's last. What parses can be used.
    auto key = PrivateKey::parse(Secret(broken), "name");
    if (key.ok())
      EXPECT_TRUE(key->sign("data", 0).ok());
    else
      ++refused;
    EXPECT_FALSE(PrivateKey::parse(Secret(text.substr(0, at)), "name").ok());
    std::string shorter = text.substr(0, at) + "\n" + text.substr(end);
    PrivateKey::parse(Secret(shorter), "name").ok();  // and no harm
  }
  EXPECT_GT(refused, 100);
}

TEST_F(TempKeys, WhatIsNoKeyIsRefused) {
  make("key", "-t ed25519");
  for (const std::string& text :
       {std::string(), std::string("x"), text_of(path("key.pub")), std::string(1000, '\0'),
        std::string("-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"),
        std::string("-----END OPENSSH PRIVATE KEY----------BEGIN OPENSSH PRIVATE KEY-----")}) {
    EXPECT_EQ(PrivateKey::parse(Secret(text), "name").status().code(), Code::kInvalidArgument);
  }
  EXPECT_EQ(PrivateKey::parse(Secret(std::string(kMaxKeyFile + 1, 'x')), "n").status().code(),
            Code::kInvalidArgument);
  run("openssl genpkey -algorithm X25519 -out " + path("other") + " 2>/dev/null");
  EXPECT_EQ(PrivateKey::parse(Secret(text_of(path("other"))), "name").status().code(),
            Code::kUnimplemented);
  run("openssl genpkey -algorithm EC -pkeyopt ec_paramgen_curve:secp256k1 -out " + path("curve") +
      " 2>/dev/null");
  EXPECT_EQ(PrivateKey::parse(Secret(text_of(path("curve"))), "name").status().code(),
            Code::kUnimplemented);
}

}  // namespace
}  // namespace depot::ssh

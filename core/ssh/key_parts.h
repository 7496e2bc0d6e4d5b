// What a private key is made of, for the files that make one. Private to the module.
#pragma once

#include <openssl/evp.h>

#include <memory>
#include <string>
#include <string_view>

#include "ssh/private_key.h"

namespace depot::ssh {

struct FreeEvpKey {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
using EvpKey = std::unique_ptr<EVP_PKEY, FreeEvpKey>;

// One curve of ECDSA, as each of its users calls it.
struct Curve {
  std::string_view name;  // "nistp256"
  std::string_view type;  // "ecdsa-sha2-nistp256"
  const char* group;      // OpenSSL's
  const char* hash;       // of what is signed
};
const Curve* curve_by_name(std::string_view name);

struct PrivateKey::Parts {
  EvpKey key;
  std::string type;  // "ssh-rsa", "ssh-ed25519", "ecdsa-sha2-..."
  const Curve* curve = nullptr;
  std::string blob;
  std::string comment;
};

base::Status bad_key(const std::string& name, const std::string& why);
base::Status encrypted_key(const std::string& name);
base::Status unknown_key(const std::string& name, std::string_view type);

// "-----BEGIN OPENSSH PRIVATE KEY-----": the key and its comment.
base::Result<EvpKey> parse_openssh(std::string_view text, const std::string& name,
                                   std::string& comment);

}  // namespace depot::ssh

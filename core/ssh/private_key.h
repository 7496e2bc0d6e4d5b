// A private SSH key: RSA, ECDSA over the NIST curves, or Ed25519, from PEM (PKCS#1, SEC 1, PKCS#8)
// or from OpenSSH's own format. Immutable; any thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "base/secret.h"
#include "base/status.h"

namespace depot::ssh {

// As BuildKit's own client has it: of a key's file.
constexpr size_t kMaxKeyFile = 100 << 10;

class PrivateKey {
 public:
  // `name` is what errors call it; none has a byte of the key. kFailedPrecondition for one that a
  // passphrase protects, kUnimplemented for a kind of key that is none of the above,
  // kInvalidArgument for what is no private key.
  static base::Result<PrivateKey> parse(const base::Secret& text, const std::string& name);

  // As it stands in an authorized_keys file, before the base64.
  const std::string& public_blob() const;
  // OpenSSH's comment, else `name`.
  const std::string& comment() const;
  // The signature as the agent protocol carries it: its algorithm, then its bytes. `flags` choose
  // the hash of an RSA signature: 2 is SHA-256, 4 is SHA-512, neither is SHA-1, as old servers want
  // it.
  base::Result<std::string> sign(std::string_view data, uint32_t flags) const;

  struct Parts;

 private:
  std::shared_ptr<const Parts> parts_;
};

}  // namespace depot::ssh

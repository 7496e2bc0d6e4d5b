// The token authority: an Ed25519 key that proves to a builder that two sessions hold the same
// credentials, without showing them. Pure functions; private to the module.
#pragma once

#include <array>
#include <cstdint>
#include <string>
#include <string_view>

#include "base/secret.h"
#include "base/status.h"

namespace depot::registry {

// The 32-byte private seed: HMAC-SHA256 with the builder's salt as key over the client's token
// seed, or over nothing when the registry is used anonymously.
base::Result<base::Secret> authority_key(std::string_view salt, std::string_view token_seed);
base::Result<std::array<uint8_t, 32>> authority_public(const base::Secret& key);
// NaCl's combined form: 64 bytes of signature, then the payload.
base::Result<std::string> authority_sign(const base::Secret& key, std::string_view payload);

}  // namespace depot::registry

#include "registry/authority.h"

#include <openssl/evp.h>
#include <openssl/hmac.h>

#include <memory>

namespace depot::registry {

using base::Result;
using base::Secret;

namespace {

constexpr size_t kKey = 32, kSignature = 64;

const unsigned char* bytes(std::string_view text) {
  return reinterpret_cast<const unsigned char*>(text.data());
}

struct KeyFree {
  void operator()(EVP_PKEY* key) const { EVP_PKEY_free(key); }
};
struct ContextFree {
  void operator()(EVP_MD_CTX* context) const { EVP_MD_CTX_free(context); }
};
using Key = std::unique_ptr<EVP_PKEY, KeyFree>;

Key private_key(const Secret& key) {
  return Key(
      EVP_PKEY_new_raw_private_key(EVP_PKEY_ED25519, nullptr, bytes(key.reveal()), key.size()));
}

}  // namespace

Result<Secret> authority_key(std::string_view salt, std::string_view token_seed) {
  unsigned char out[EVP_MAX_MD_SIZE];
  unsigned int size = 0;
  static constexpr unsigned char kNothing = 0;  // HMAC takes no null key, even of no length
  const unsigned char* key = salt.empty() ? &kNothing : bytes(salt);
  const unsigned char* data = token_seed.empty() ? &kNothing : bytes(token_seed);
  if (HMAC(EVP_sha256(), key, static_cast<int>(salt.size()), data, token_seed.size(), out, &size) ==
          nullptr ||
      size != kKey) {
    return base::internal_error("cannot derive the token authority's key");
  }
  Secret secret(std::string_view(reinterpret_cast<char*>(out), size));
  base::wipe(out, sizeof out);
  return secret;
}

Result<std::array<uint8_t, 32>> authority_public(const Secret& key) {
  Key pair = private_key(key);
  std::array<uint8_t, 32> out;
  size_t size = out.size();
  if (!pair || EVP_PKEY_get_raw_public_key(pair.get(), out.data(), &size) != 1 ||
      size != out.size()) {
    return base::internal_error("cannot make the token authority's public key");
  }
  return out;
}

Result<std::string> authority_sign(const Secret& key, std::string_view payload) {
  Key pair = private_key(key);
  std::unique_ptr<EVP_MD_CTX, ContextFree> context(EVP_MD_CTX_new());
  std::string out(kSignature, '\0');
  size_t size = out.size();
  static constexpr unsigned char kNothing = 0;
  const unsigned char* data = payload.empty() ? &kNothing : bytes(payload);
  if (!pair || !context ||
      EVP_DigestSignInit(context.get(), nullptr, nullptr, nullptr, pair.get()) != 1 ||
      EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(out.data()), &size, data,
                     payload.size()) != 1 ||
      size != kSignature) {
    return base::internal_error("cannot sign for the token authority");
  }
  out.append(payload);
  return out;
}

}  // namespace depot::registry

// OpenSSH's own format of private keys: base64 of "openssh-key-v1", how it is encrypted, the public
// keys, then the private ones.
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/evp.h>
#include <openssl/param_build.h>

#include <array>
#include <optional>

#include "ssh/key_parts.h"
#include "ssh/wire.h"

namespace depot::ssh {
namespace {

using base::Result;
using base::Secret;
using base::Status;

constexpr std::string_view kBegin = "-----BEGIN OPENSSH PRIVATE KEY-----";
constexpr std::string_view kEnd = "-----END OPENSSH PRIVATE KEY-----";
constexpr std::string_view kMagic("openssh-key-v1\0", 15);

template <class T, void (*Free)(T*)>
struct Freed {
  void operator()(T* one) const { Free(one); }
};
using Number = std::unique_ptr<BIGNUM, Freed<BIGNUM, BN_clear_free>>;
using Scratch = std::unique_ptr<BN_CTX, Freed<BN_CTX, BN_CTX_free>>;
using Builder = std::unique_ptr<OSSL_PARAM_BLD, Freed<OSSL_PARAM_BLD, OSSL_PARAM_BLD_free>>;
using Params = std::unique_ptr<OSSL_PARAM, Freed<OSSL_PARAM, OSSL_PARAM_free>>;
using Context = std::unique_ptr<EVP_PKEY_CTX, Freed<EVP_PKEY_CTX, EVP_PKEY_CTX_free>>;

std::optional<Secret> decode_base64(std::string_view text) {
  std::string out;
  out.reserve(text.size() / 4 * 3 + 3);
  uint32_t bits = 0;
  int have = 0, padding = 0;
  for (char c : text) {
    uint32_t value = 0;
    if (c == '\n' || c == '\r' || c == ' ' || c == '\t') continue;
    if (c == '=') {
      ++padding;
      continue;
    }
    if (c >= 'A' && c <= 'Z') {
      value = static_cast<uint32_t>(c - 'A');
    } else if (c >= 'a' && c <= 'z') {
      value = static_cast<uint32_t>(c - 'a') + 26;
    } else if (c >= '0' && c <= '9') {
      value = static_cast<uint32_t>(c - '0') + 52;
    } else if (c == '+' || c == '/') {
      value = c == '+' ? 62 : 63;
    } else {
      padding = 3;
    }
    if (padding > 0) break;
    bits = bits << 6 | value;
    have += 6;
    if (have >= 8) {
      have -= 8;
      out.push_back(static_cast<char>(bits >> have & 0xff));
    }
  }
  Secret secret = Secret::take(std::move(out));
  if (padding > 2) return std::nullopt;
  return secret;
}

Number number(std::string_view magnitude) {
  return Number(BN_bin2bn(reinterpret_cast<const unsigned char*>(magnitude.data()),
                          static_cast<int>(magnitude.size()), nullptr));
}

EvpKey make(const char* algorithm, OSSL_PARAM_BLD* builder) {
  Params params(OSSL_PARAM_BLD_to_param(builder));
  Context context(EVP_PKEY_CTX_new_from_name(nullptr, algorithm, nullptr));
  EVP_PKEY* key = nullptr;
  if (!params || !context || EVP_PKEY_fromdata_init(context.get()) != 1 ||
      EVP_PKEY_fromdata(context.get(), &key, EVP_PKEY_KEYPAIR, params.get()) != 1)
    return nullptr;
  return EvpKey(key);
}

EvpKey rsa_key(Reader& fields) {
  std::array<Number, 6> given;  // n, e, d, 1/q mod p, p, q
  for (auto& one : given) {
    auto bytes = fields.string();
    if (!bytes || bytes->size() > 2100) return nullptr;  // 16384 bits
    one = number(*bytes);
    if (!one) return nullptr;
  }
  auto& [n, e, d, inverse, p, q] = given;
  // The exponents of the two primes are not stored.
  Scratch scratch(BN_CTX_new());
  Number dp(BN_new()), dq(BN_new()), less(BN_new());
  if (!scratch || !dp || !dq || !less || BN_sub(less.get(), p.get(), BN_value_one()) != 1 ||
      BN_mod(dp.get(), d.get(), less.get(), scratch.get()) != 1 ||
      BN_sub(less.get(), q.get(), BN_value_one()) != 1 ||
      BN_mod(dq.get(), d.get(), less.get(), scratch.get()) != 1)
    return nullptr;
  Builder builder(OSSL_PARAM_BLD_new());
  if (!builder) return nullptr;
  const std::pair<const char*, const Number*> parts[] = {
      {OSSL_PKEY_PARAM_RSA_N, &n},          {OSSL_PKEY_PARAM_RSA_E, &e},
      {OSSL_PKEY_PARAM_RSA_D, &d},          {OSSL_PKEY_PARAM_RSA_FACTOR1, &p},
      {OSSL_PKEY_PARAM_RSA_FACTOR2, &q},    {OSSL_PKEY_PARAM_RSA_EXPONENT1, &dp},
      {OSSL_PKEY_PARAM_RSA_EXPONENT2, &dq}, {OSSL_PKEY_PARAM_RSA_COEFFICIENT1, &inverse}};
  for (const auto& [name, part] : parts)
    if (OSSL_PARAM_BLD_push_BN(builder.get(), name, part->get()) != 1) return nullptr;
  return make("RSA", builder.get());
}

EvpKey ecdsa_key(Reader& fields, std::string_view type) {
  auto name = fields.string(), point = fields.string(), scalar = fields.string();
  if (!name || !point || !scalar || scalar->size() > 100) return nullptr;
  const Curve* curve = curve_by_name(*name);
  if (curve == nullptr || curve->type != type) return nullptr;
  Number secret = number(*scalar);
  Builder builder(OSSL_PARAM_BLD_new());
  if (!secret || !builder ||
      OSSL_PARAM_BLD_push_utf8_string(builder.get(), OSSL_PKEY_PARAM_GROUP_NAME, curve->group, 0) !=
          1 ||
      OSSL_PARAM_BLD_push_octet_string(builder.get(), OSSL_PKEY_PARAM_PUB_KEY, point->data(),
                                       point->size()) != 1 ||
      OSSL_PARAM_BLD_push_BN(builder.get(), OSSL_PKEY_PARAM_PRIV_KEY, secret.get()) != 1)
    return nullptr;
  return make("EC", builder.get());
}

EvpKey ed25519_key(Reader& fields) {
  auto open = fields.string(), both = fields.string();
  // The private part is the seed, then the public key once more.
  if (!open || !both || open->size() != 32 || both->size() != 64 || both->substr(32) != *open)
    return nullptr;
  return EvpKey(EVP_PKEY_new_raw_private_key(
      EVP_PKEY_ED25519, nullptr, reinterpret_cast<const unsigned char*>(both->data()), 32));
}

}  // namespace

Result<EvpKey> parse_openssh(std::string_view text, const std::string& name, std::string& comment) {
  size_t begin = text.find(kBegin);
  size_t end = text.find(kEnd);
  if (begin == text.npos || end == text.npos || end < begin) return bad_key(name, "it has no end");
  begin += kBegin.size();
  auto decoded = decode_base64(text.substr(begin, end - begin));
  if (!decoded || !decoded->reveal().starts_with(kMagic))
    return bad_key(name, "it is not OpenSSH's base64");
  Reader outer(decoded->reveal().substr(kMagic.size()));
  auto cipher = outer.string(), derivation = outer.string(), options = outer.string();
  auto count = outer.number();
  if (!cipher || !derivation || !options || !count) return bad_key(name, "it is cut off");
  if (*cipher != "none") return encrypted_key(name);
  if (*count != 1) return bad_key(name, "it holds more than one key");
  auto open = outer.string(), secret = outer.string();
  if (!open || !secret) return bad_key(name, "it is cut off");
  Reader inner(*secret);
  auto check = inner.number(), again = inner.number();
  auto type = inner.string();
  if (!check || check != again || !type) return bad_key(name, "it is damaged");
  EvpKey key;
  if (*type == "ssh-rsa")
    key = rsa_key(inner);
  else if (*type == "ssh-ed25519")
    key = ed25519_key(inner);
  else if (type->starts_with("ecdsa-sha2-"))
    key = ecdsa_key(inner, *type);
  else
    return unknown_key(name, *type);
  if (!key) return bad_key(name, "its numbers are no key");
  comment = std::string(inner.string().value_or(""));
  return key;
}

}  // namespace depot::ssh

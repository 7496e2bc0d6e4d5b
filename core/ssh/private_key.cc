#include "ssh/private_key.h"

#include <openssl/bio.h>
#include <openssl/bn.h>
#include <openssl/core_names.h>
#include <openssl/ec.h>
#include <openssl/ecdsa.h>
#include <openssl/err.h>
#include <openssl/pem.h>

#include <algorithm>
#include <vector>

#include "ssh/key_parts.h"
#include "ssh/wire.h"

namespace depot::ssh {
namespace {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;

constexpr Curve kCurves[] = {
    {"nistp256", "ecdsa-sha2-nistp256", "prime256v1", "SHA256"},
    {"nistp384", "ecdsa-sha2-nistp384", "secp384r1", "SHA384"},
    {"nistp521", "ecdsa-sha2-nistp521", "secp521r1", "SHA512"},
};
constexpr size_t kMinRsaBits = 1024;

std::string number_of(const EVP_PKEY* key, const char* name) {
  BIGNUM* found = nullptr;
  if (EVP_PKEY_get_bn_param(key, name, &found) != 1) return "";
  std::string bytes(static_cast<size_t>(BN_num_bytes(found)), '\0');
  BN_bn2bin(found, reinterpret_cast<unsigned char*>(bytes.data()));
  BN_free(found);
  return bytes;
}

std::string public_point(const EVP_PKEY* key) {
  std::vector<unsigned char> point(256);
  size_t size = 0;
  if (EVP_PKEY_get_octet_string_param(key, OSSL_PKEY_PARAM_PUB_KEY, point.data(), point.size(),
                                      &size) != 1 ||
      size == 0)
    return "";
  return std::string(reinterpret_cast<const char*>(point.data()), size);
}

const Curve* curve_of(const EVP_PKEY* key) {
  char group[64] = {};
  if (EVP_PKEY_get_group_name(key, group, sizeof group, nullptr) != 1) return nullptr;
  auto found = std::find_if(std::begin(kCurves), std::end(kCurves),
                            [&](const Curve& one) { return std::string_view(one.group) == group; });
  return found == std::end(kCurves) ? nullptr : found;
}

// Fills type, curve and blob from the key.
Status describe(PrivateKey::Parts& parts, const std::string& name) {
  const EVP_PKEY* key = parts.key.get();
  switch (EVP_PKEY_get_base_id(key)) {
    case EVP_PKEY_RSA: {
      if (static_cast<size_t>(EVP_PKEY_get_bits(key)) < kMinRsaBits)
        return bad_key(name, "an RSA key of less than 1024 bits is none");
      parts.type = "ssh-rsa";
      put_string(parts.blob, parts.type);
      put_mpint(parts.blob, number_of(key, OSSL_PKEY_PARAM_RSA_E));
      put_mpint(parts.blob, number_of(key, OSSL_PKEY_PARAM_RSA_N));
      return {};
    }
    case EVP_PKEY_EC: {
      parts.curve = curve_of(key);
      if (parts.curve == nullptr) return unknown_key(name, "ECDSA of another curve");
      parts.type = parts.curve->type;
      std::string point = public_point(key);
      if (point.empty()) return bad_key(name, "it has no public part");
      put_string(parts.blob, parts.type);
      put_string(parts.blob, parts.curve->name);
      put_string(parts.blob, point);
      return {};
    }
    case EVP_PKEY_ED25519: {
      std::string open(32, '\0');
      size_t size = open.size();
      if (EVP_PKEY_get_raw_public_key(key, reinterpret_cast<unsigned char*>(open.data()), &size) !=
          1)
        return bad_key(name, "it has no public part");
      parts.type = "ssh-ed25519";
      put_string(parts.blob, parts.type);
      put_string(parts.blob, open);
      return {};
    }
    default:
      return unknown_key(name, "neither RSA, ECDSA nor Ed25519");
  }
}

// OpenSSL asks for a passphrase: that is all that has to be known.
int note_passphrase(char*, int, int, void* asked) {
  *static_cast<bool*>(asked) = true;
  return -1;
}

Result<EvpKey> parse_pem(std::string_view text, const std::string& name) {
  BIO* bio = BIO_new_mem_buf(text.data(), static_cast<int>(text.size()));
  if (bio == nullptr) return base::internal_error("no memory to read a key");
  bool asked = false;
  EvpKey key(PEM_read_bio_PrivateKey(bio, nullptr, note_passphrase, &asked));
  BIO_free(bio);
  ERR_clear_error();
  // The words themselves, for ciphers that this OpenSSL lacks.
  if (asked || text.find("BEGIN ENCRYPTED PRIVATE KEY") != text.npos ||
      text.find("Proc-Type: 4,ENCRYPTED") != text.npos)
    return encrypted_key(name);
  if (!key) return bad_key(name, "neither PEM nor OpenSSH's format");
  return key;
}

// ECDSA's signature as SSH has it: two numbers, which OpenSSL gives in DER.
std::string ssh_ecdsa(const std::string& der) {
  const auto* at = reinterpret_cast<const unsigned char*>(der.data());
  ECDSA_SIG* pair = d2i_ECDSA_SIG(nullptr, &at, static_cast<long>(der.size()));
  if (pair == nullptr) return "";
  std::string out;
  for (const BIGNUM* one : {ECDSA_SIG_get0_r(pair), ECDSA_SIG_get0_s(pair)}) {
    std::string bytes(static_cast<size_t>(BN_num_bytes(one)), '\0');
    BN_bn2bin(one, reinterpret_cast<unsigned char*>(bytes.data()));
    put_mpint(out, bytes);
  }
  ECDSA_SIG_free(pair);
  return out;
}

}  // namespace

const Curve* curve_by_name(std::string_view name) {
  auto found = std::find_if(std::begin(kCurves), std::end(kCurves),
                            [&](const Curve& one) { return one.name == name; });
  return found == std::end(kCurves) ? nullptr : found;
}

Status bad_key(const std::string& name, const std::string& why) {
  return Status(Code::kInvalidArgument, Hop::kUsage, "SSH key " + name + " cannot be read: " + why)
      .with_hint("a private key as ssh-keygen writes it, or the socket of an agent");
}

Status encrypted_key(const std::string& name) {
  return Status(Code::kFailedPrecondition, Hop::kUsage,
                "SSH key " + name + " is protected by a passphrase")
      .with_hint("add it to an agent (ssh-add) and forward that: --ssh default");
}

Status unknown_key(const std::string& name, std::string_view type) {
  std::string kind;
  for (char c : type.substr(0, 64)) kind.push_back(c >= ' ' && c < 0x7f ? c : '?');
  return Status(Code::kUnimplemented, Hop::kUsage,
                "SSH key " + name + " is of a kind that is not served: " + kind)
      .with_hint("RSA, ECDSA or Ed25519; others by an agent: --ssh default");
}

Result<PrivateKey> PrivateKey::parse(const base::Secret& text, const std::string& name) {
  if (text.size() > kMaxKeyFile) return bad_key(name, "it is larger than 100 KiB");
  std::string_view bytes = text.reveal();
  auto parts = std::make_shared<Parts>();
  bool openssh = bytes.find("-----BEGIN OPENSSH PRIVATE KEY-----") != bytes.npos;
  DEPOT_ASSIGN(parts->key,
               openssh ? parse_openssh(bytes, name, parts->comment) : parse_pem(bytes, name));
  DEPOT_TRY(describe(*parts, name));
  if (parts->comment.empty()) parts->comment = name;
  PrivateKey key;
  key.parts_ = std::move(parts);
  return key;
}

const std::string& PrivateKey::public_blob() const {
  return parts_->blob;
}

const std::string& PrivateKey::comment() const {
  return parts_->comment;
}

Result<std::string> PrivateKey::sign(std::string_view data, uint32_t flags) const {
  constexpr uint32_t kSha256 = 2, kSha512 = 4;
  std::string type = parts_->type;
  const char* hash = nullptr;
  if (parts_->curve != nullptr) {
    hash = parts_->curve->hash;
  } else if (type == "ssh-rsa") {
    hash = (flags & kSha512) != 0 ? "SHA512" : (flags & kSha256) != 0 ? "SHA256" : "SHA1";
    if ((flags & kSha512) != 0)
      type = "rsa-sha2-512";
    else if ((flags & kSha256) != 0)
      type = "rsa-sha2-256";
  }
  std::unique_ptr<EVP_MD_CTX, decltype(&EVP_MD_CTX_free)> context(EVP_MD_CTX_new(),
                                                                  EVP_MD_CTX_free);
  const auto* bytes = reinterpret_cast<const unsigned char*>(data.data());
  size_t size = 0;
  std::string signature;
  bool done = context &&
              EVP_DigestSignInit_ex(context.get(), nullptr, hash, nullptr, nullptr,
                                    parts_->key.get(), nullptr) == 1 &&
              EVP_DigestSign(context.get(), nullptr, &size, bytes, data.size()) == 1;
  if (done) {
    signature.resize(size);
    done = EVP_DigestSign(context.get(), reinterpret_cast<unsigned char*>(signature.data()), &size,
                          bytes, data.size()) == 1;
    signature.resize(size);
  }
  ERR_clear_error();
  if (done && parts_->curve != nullptr) signature = ssh_ecdsa(signature);
  if (!done || signature.empty()) return base::internal_error("OpenSSL cannot sign with the key");
  std::string out;
  put_string(out, type);
  put_string(out, signature);
  return out;
}

}  // namespace depot::ssh

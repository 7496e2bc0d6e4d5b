#include "content/digest.h"

#include <openssl/evp.h>

#include <array>
#include <new>

namespace depot::content {
namespace {

const EVP_MD* method_of(std::string_view algorithm) {
  if (algorithm == "sha256") return EVP_sha256();
  if (algorithm == "sha384") return EVP_sha384();
  if (algorithm == "sha512") return EVP_sha512();
  return nullptr;
}

}  // namespace

base::Result<Digest> Digest::parse(std::string_view text) {
  auto bad = [&](const char* why) {
    // What the daemon sends may be any bytes of any length.
    std::string shown;
    for (char c : text.substr(0, 160)) shown.push_back(c >= ' ' && c < 0x7f ? c : '?');
    return base::usage_error("'" + shown + "' is no digest: " + why)
        .with_hint("a digest is sha256: and 64 hex digits, or sha384 or sha512 and theirs");
  };
  size_t colon = text.find(':');
  if (colon == std::string_view::npos) return bad("it has no algorithm");
  const EVP_MD* method = method_of(text.substr(0, colon));
  if (method == nullptr) return bad("its algorithm is not known");
  auto hex = text.substr(colon + 1);
  if (hex.size() != static_cast<size_t>(EVP_MD_get_size(method)) * 2 ||
      hex.find_first_not_of("0123456789abcdef") != std::string_view::npos)
    return bad("not that many lower-case hex digits");
  return Digest{std::string(text.substr(0, colon)), std::string(hex)};
}

void Hasher::Free::operator()(evp_md_ctx_st* context) const {
  EVP_MD_CTX_free(context);
}

Hasher::Hasher(const std::string& algorithm) : algorithm_(algorithm), context_(EVP_MD_CTX_new()) {
  if (!context_) throw std::bad_alloc();
  restart();
}

void Hasher::restart() {
  if (EVP_DigestInit_ex(context_.get(), method_of(algorithm_), nullptr) != 1)
    throw std::bad_alloc();
}

void Hasher::add(std::span<const uint8_t> bytes) {
  EVP_DigestUpdate(context_.get(), bytes.data(), bytes.size());
}

Digest Hasher::digest() const {
  std::unique_ptr<evp_md_ctx_st, Free> copy(EVP_MD_CTX_new());
  std::array<unsigned char, EVP_MAX_MD_SIZE> bytes{};
  unsigned int size = 0;
  if (!copy || EVP_MD_CTX_copy_ex(copy.get(), context_.get()) != 1 ||
      EVP_DigestFinal_ex(copy.get(), bytes.data(), &size) != 1)
    throw std::bad_alloc();
  constexpr char kHex[] = "0123456789abcdef";
  Digest digest{algorithm_, {}};
  for (size_t i = 0; i < size; ++i) {
    digest.hex.push_back(kHex[bytes[i] >> 4]);
    digest.hex.push_back(kHex[bytes[i] & 15]);
  }
  return digest;
}

Digest digest_of(std::string_view bytes) {
  Hasher hasher;
  hasher.add({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()});
  return hasher.digest();
}

}  // namespace depot::content

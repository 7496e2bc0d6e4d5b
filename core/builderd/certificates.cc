#include "builderd/certificates.h"

#include <openssl/bio.h>
#include <openssl/ec.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/rand.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

namespace depot::builderd {

using base::Result;
using base::Secret;
using base::Status;

namespace {

struct Free {
  void operator()(EVP_PKEY* p) const { EVP_PKEY_free(p); }
  void operator()(X509* p) const { X509_free(p); }
  void operator()(X509_EXTENSION* p) const { X509_EXTENSION_free(p); }
  void operator()(BIO* p) const { BIO_free_all(p); }
  void operator()(BIGNUM* p) const { BN_free(p); }
};
template <class T>
using Owned = std::unique_ptr<T, Free>;

constexpr std::chrono::minutes kBackdate{5};

Status openssl_error(const char* what) {
  char text[256] = "unknown reason";
  if (unsigned long code = ERR_get_error()) ERR_error_string_n(code, text, sizeof text);
  ERR_clear_error();
  return base::internal_error(std::string("cannot ") + what + ": " + text);
}

bool set_serial(X509* certificate) {
  unsigned char bytes[16];
  if (RAND_bytes(bytes, sizeof bytes) != 1) return false;
  bytes[0] &= 0x7f;  // positive
  Owned<BIGNUM> number(BN_bin2bn(bytes, sizeof bytes, nullptr));
  return number && BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate));
}

bool add_extension(X509* certificate, X509* issuer, int nid, const std::string& value) {
  X509V3_CTX context;
  X509V3_set_ctx_nodb(&context);
  X509V3_set_ctx(&context, issuer, certificate, nullptr, nullptr, 0);
  Owned<X509_EXTENSION> extension(X509V3_EXT_conf_nid(nullptr, &context, nid, value.c_str()));
  return extension && X509_add_ext(certificate, extension.get(), -1) == 1;
}

bool set_name(X509_NAME* name, const std::string& common_name) {
  return X509_NAME_add_entry_by_txt(name, "CN", MBSTRING_UTF8,
                                    reinterpret_cast<const unsigned char*>(common_name.data()),
                                    static_cast<int>(common_name.size()), -1, 0) == 1;
}

// Everything but the extensions and the signature.
Owned<X509> blank(const std::string& common_name, EVP_PKEY* key, const X509* issuer,
                  std::chrono::seconds life) {
  Owned<X509> certificate(X509_new());
  if (!certificate || X509_set_version(certificate.get(), 2) != 1 || !set_serial(certificate.get()))
    return nullptr;
  long back = static_cast<long>(std::chrono::seconds(kBackdate).count());
  if (!X509_gmtime_adj(X509_getm_notBefore(certificate.get()), -back) ||
      !X509_gmtime_adj(X509_getm_notAfter(certificate.get()), static_cast<long>(life.count())) ||
      X509_set_pubkey(certificate.get(), key) != 1 ||
      !set_name(X509_get_subject_name(certificate.get()), common_name)) {
    return nullptr;
  }
  const X509_NAME* by = X509_get_subject_name(issuer ? issuer : certificate.get());
  return X509_set_issuer_name(certificate.get(), by) == 1 ? std::move(certificate) : nullptr;
}

std::string read_all(BIO* bio) {
  char* data = nullptr;
  long size = BIO_get_mem_data(bio, &data);
  return std::string(data, static_cast<size_t>(size));
}

std::string to_pem(X509* certificate) {
  Owned<BIO> bio(BIO_new(BIO_s_mem()));
  if (!bio || PEM_write_bio_X509(bio.get(), certificate) != 1) return "";
  return read_all(bio.get());
}

Secret to_pem(EVP_PKEY* key) {
  Owned<BIO> bio(BIO_new(BIO_s_secmem()));
  if (!bio ||
      PEM_write_bio_PKCS8PrivateKey(bio.get(), key, nullptr, nullptr, 0, nullptr, nullptr) != 1)
    return Secret();
  char* data = nullptr;
  long size = BIO_get_mem_data(bio.get(), &data);
  Secret out(std::string_view(data, static_cast<size_t>(size)));
  base::wipe(data, static_cast<size_t>(size));
  return out;
}

}  // namespace

struct CertificateAuthority::Impl {
  Owned<EVP_PKEY> key;
  Owned<X509> certificate;

  Result<Identity> issue(const std::string& common_name, const std::string& usage,
                         const std::string& alternative, std::chrono::seconds life) const {
    Owned<EVP_PKEY> leaf_key(EVP_EC_gen("P-256"));
    if (!leaf_key) return openssl_error("make a key");
    Owned<X509> leaf = blank(common_name, leaf_key.get(), certificate.get(), life);
    X509* issuer = certificate.get();
    if (!leaf || !add_extension(leaf.get(), issuer, NID_basic_constraints, "critical,CA:FALSE") ||
        !add_extension(leaf.get(), issuer, NID_key_usage, "critical,digitalSignature") ||
        !add_extension(leaf.get(), issuer, NID_ext_key_usage, usage) ||
        !add_extension(leaf.get(), issuer, NID_authority_key_identifier, "keyid:always") ||
        (!alternative.empty() &&
         !add_extension(leaf.get(), issuer, NID_subject_alt_name, alternative)) ||
        X509_sign(leaf.get(), key.get(), EVP_sha256()) == 0) {
      return openssl_error("make a certificate");
    }
    Identity identity{to_pem(leaf.get()), to_pem(leaf_key.get())};
    if (identity.certificate.empty() || identity.key.empty()) {
      return openssl_error("encode a certificate");
    }
    return identity;
  }
};

CertificateAuthority::CertificateAuthority(std::unique_ptr<Impl> impl)
    : impl_(std::move(impl)), pem_(to_pem(impl_->certificate.get())) {}
CertificateAuthority::~CertificateAuthority() = default;

Result<std::unique_ptr<CertificateAuthority>> CertificateAuthority::create(
    const std::string& name, std::chrono::seconds life) {
  auto impl = std::make_unique<Impl>();
  impl->key.reset(EVP_EC_gen("P-256"));
  if (!impl->key) return openssl_error("make a key");
  impl->certificate = blank(name, impl->key.get(), nullptr, life);
  X509* own = impl->certificate.get();
  if (!own || !add_extension(own, own, NID_basic_constraints, "critical,CA:TRUE,pathlen:0") ||
      !add_extension(own, own, NID_key_usage, "critical,keyCertSign,cRLSign") ||
      !add_extension(own, own, NID_subject_key_identifier, "hash") ||
      X509_sign(own, impl->key.get(), EVP_sha256()) == 0) {
    return openssl_error("make a certificate authority");
  }
  return std::unique_ptr<CertificateAuthority>(new CertificateAuthority(std::move(impl)));
}

Result<Identity> CertificateAuthority::issue_server(const std::string& dns_name,
                                                    std::chrono::seconds life) const {
  return impl_->issue(dns_name, "serverAuth", "DNS:" + dns_name, life);
}

Result<Identity> CertificateAuthority::issue_client(const std::string& common_name,
                                                    std::chrono::seconds life) const {
  return impl_->issue(common_name, "clientAuth", "", life);
}

}  // namespace depot::builderd

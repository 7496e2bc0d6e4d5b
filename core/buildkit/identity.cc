#include "buildkit/identity.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>

#include <memory>

namespace depot::buildkit {
namespace {

using base::Code;
using base::Hop;
using base::Status;

template <auto Free>
struct Deleter {
  template <class T>
  void operator()(T* object) const {
    Free(object);
  }
};
using BioPtr = std::unique_ptr<BIO, Deleter<BIO_free_all>>;
using X509Ptr = std::unique_ptr<X509, Deleter<X509_free>>;
using KeyPtr = std::unique_ptr<EVP_PKEY, Deleter<EVP_PKEY_free>>;

BioPtr reader(std::string_view pem) {
  return BioPtr(BIO_new_mem_buf(pem.data(), static_cast<int>(pem.size())));
}

Status bad(const std::string& what) {
  ERR_clear_error();
  return Status(Code::kInvalidArgument, Hop::kMachine, what);
}

// An encrypted key must fail, not ask on a terminal.
int no_password(char*, int, int, void*) {
  return -1;
}

}  // namespace

Status check_identity(const TlsIdentity& identity) {
  if (!identity.ca_pem.empty()) {
    X509Ptr ca(PEM_read_bio_X509(reader(identity.ca_pem).get(), nullptr, no_password, nullptr));
    if (!ca) return bad("the CA certificate of the builder is not PEM");
  }
  if (identity.cert_pem.empty()) return {};
  X509Ptr cert(PEM_read_bio_X509(reader(identity.cert_pem).get(), nullptr, no_password, nullptr));
  if (!cert) return bad("the client certificate is not PEM");
  KeyPtr key(PEM_read_bio_PrivateKey(reader(identity.key_pem.reveal()).get(), nullptr, no_password,
                                     nullptr));
  if (!key) return bad("the client key is not PEM, or is encrypted");
  if (X509_check_private_key(cert.get(), key.get()) != 1)
    return bad("the client key does not belong to the client certificate");
  if (X509_cmp_current_time(X509_get0_notAfter(cert.get())) < 0) {
    return Status(Code::kUnauthenticated, Hop::kMachine, "the client certificate has expired")
        .with_hint("acquire the machine again for a fresh identity, and check the clock");
  }
  return {};
}

}  // namespace depot::buildkit

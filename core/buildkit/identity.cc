#include "buildkit/identity.h"

#include <openssl/err.h>

#include "buildkit/pem.h"

namespace depot::buildkit {
namespace {

using base::Code;
using base::Hop;
using base::Status;

Status bad(const std::string& what) {
  ERR_clear_error();
  return Status(Code::kInvalidArgument, Hop::kMachine, what);
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

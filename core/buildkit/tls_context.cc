#include "buildkit/tls_context.h"

#include <openssl/err.h>
#include <openssl/ssl.h>
#include <unistd.h>

#include "buildkit/identity.h"
#include "buildkit/pem.h"

namespace depot::buildkit {
namespace {

using base::Code;
using base::Hop;
using base::Status;

X509Ptr next_certificate(BIO* from) {
  return X509Ptr(PEM_read_bio_X509(from, nullptr, no_password, nullptr));
}

// Where the systems have their authorities: the variables that OpenSSL knows, then Debian, Fedora
// and Red Hat, SUSE and Alpine.
bool add_system_roots(SSL_CTX* context, const base::Environment& environment) {
  std::string file = environment.get_or("SSL_CERT_FILE", "");
  std::string folder = environment.get_or("SSL_CERT_DIR", "");
  if (!file.empty() || !folder.empty()) {
    bool read = file.empty() || SSL_CTX_load_verify_file(context, file.c_str()) == 1;
    return (folder.empty() || SSL_CTX_load_verify_dir(context, folder.c_str()) == 1) && read;
  }
  for (const char* path :
       {"/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt",
        "/etc/ssl/ca-bundle.pem", "/etc/pki/tls/cacert.pem", "/etc/ssl/cert.pem"})
    if (::access(path, R_OK) == 0) return SSL_CTX_load_verify_file(context, path) == 1;
  return SSL_CTX_set_default_verify_paths(context) == 1;
}

bool add_roots(SSL_CTX* context, const std::string& pem) {
  BioPtr from = reader(pem);
  X509_STORE* store = SSL_CTX_get_cert_store(context);
  bool any = false;
  while (X509Ptr one = next_certificate(from.get())) any |= X509_STORE_add_cert(store, one.get());
  ERR_clear_error();
  return any;
}

bool use_identity(SSL_CTX* context, const TlsIdentity& identity) {
  BioPtr from = reader(identity.cert_pem);
  X509Ptr leaf = next_certificate(from.get());
  if (!leaf || SSL_CTX_use_certificate(context, leaf.get()) != 1) return false;
  while (X509Ptr one = next_certificate(from.get()))
    if (SSL_CTX_add1_chain_cert(context, one.get()) != 1) return false;
  ERR_clear_error();
  KeyPtr key(PEM_read_bio_PrivateKey(reader(identity.key_pem.reveal()).get(), nullptr, no_password,
                                     nullptr));
  return key && SSL_CTX_use_PrivateKey(context, key.get()) == 1;
}

Status unusable(const TlsIdentity& identity, const char* what) {
  DEPOT_TRY(check_identity(identity));
  return Status(Code::kInvalidArgument, Hop::kMachine, std::string(what) + ": " + tls_reason());
}

}  // namespace

void FreeTlsContext::operator()(SSL_CTX* context) const {
  SSL_CTX_free(context);
}

std::string tls_reason() {
  unsigned long code = ERR_peek_last_error();
  const char* reason = code != 0 ? ERR_reason_error_string(code) : nullptr;
  std::string text = reason != nullptr ? reason : "unknown reason";
  ERR_clear_error();
  return text;
}

base::Result<TlsContext> make_tls_context(const TlsIdentity& identity,
                                          const base::Environment& environment) {
  ERR_clear_error();
  TlsContext context(SSL_CTX_new(TLS_client_method()));
  if (!context) return base::internal_error("cannot make a TLS context: " + tls_reason());
  SSL_CTX* made = context.get();
  SSL_CTX_set_min_proto_version(made, TLS1_2_VERSION);
  SSL_CTX_set_options(made, SSL_OP_NO_COMPRESSION | SSL_OP_NO_RENEGOTIATION);
  SSL_CTX_set_mode(made, SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  static constexpr unsigned char kH2[] = {2, 'h', '2'};
  SSL_CTX_set_alpn_protos(made, kH2, sizeof kH2);
  SSL_CTX_set_verify(made, SSL_VERIFY_PEER, nullptr);
  X509_STORE_set_flags(SSL_CTX_get_cert_store(made), X509_V_FLAG_PARTIAL_CHAIN);
  // Several records with one read.
  SSL_CTX_set_read_ahead(made, 1);
  SSL_CTX_set_default_read_buffer_len(made, 64 << 10);
  if (identity.ca_pem.empty()) {
    if (!add_system_roots(made, environment))
      return Status(Code::kNotFound, Hop::kMachine,
                    "no authorities of this system's to verify the builder with: " + tls_reason())
          .with_hint("give the builder's CA, or install the package ca-certificates");
  } else if (!add_roots(made, identity.ca_pem)) {
    return unusable(identity, "the CA certificate of the builder cannot be used");
  }
  if (!identity.cert_pem.empty() && !use_identity(made, identity))
    return unusable(identity, "the client certificate and its key cannot be used");
  return context;
}

}  // namespace depot::buildkit

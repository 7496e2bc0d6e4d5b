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

Status unusable(const TlsIdentity& identity, const char* what) {
  DEPOT_TRY(check_identity(identity));
  return Status(Code::kInvalidArgument, Hop::kMachine, std::string(what) + ": " + tls_reason());
}

}  // namespace

std::string tls_reason() {
  unsigned long code = ERR_peek_last_error();
  const char* reason = code != 0 ? ERR_reason_error_string(code) : nullptr;
  std::string text = reason != nullptr ? reason : "unknown reason";
  ERR_clear_error();
  return text;
}

base::Result<std::unique_ptr<TlsContext>> TlsContext::make(const TlsIdentity& identity,
                                                           base::Environment environment) {
  ERR_clear_error();
  std::unique_ptr<TlsContext> context(new TlsContext(identity, std::move(environment)));
  SSL_CTX* made = SSL_CTX_new(TLS_client_method());
  if (made == nullptr) return base::internal_error("cannot make a TLS context: " + tls_reason());
  context->context_.reset(made);
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
  return context;
}

Status TlsContext::read_identity() {
  if (read_) return {};
  if (identity_.ca_pem.empty()) {
    if (!add_system_roots(context_.get(), environment_))
      return Status(Code::kNotFound, Hop::kMachine,
                    "no authorities of this system's to verify the builder with: " + tls_reason())
          .with_hint("give the builder's CA, or install the package ca-certificates");
  } else if (!add_roots(context_.get(), identity_.ca_pem)) {
    return unusable(identity_, "the CA certificate of the builder cannot be used");
  }
  if (!identity_.cert_pem.empty()) {
    BioPtr from = reader(identity_.cert_pem);
    while (X509Ptr one = next_certificate(from.get())) chain_.push_back(std::move(one));
    ERR_clear_error();
    key_.reset(PEM_read_bio_PrivateKey(reader(identity_.key_pem.reveal()).get(), nullptr,
                                       no_password, nullptr));
    if (chain_.empty() || !key_)
      return unusable(identity_, "the client certificate and its key cannot be used");
  }
  read_ = true;
  return {};
}

Status TlsContext::identify(SSL* connection) {
  ERR_clear_error();
  DEPOT_TRY(read_identity());
  if (chain_.empty()) return {};
  bool taken = SSL_use_certificate(connection, chain_.front().get()) == 1 &&
               SSL_use_PrivateKey(connection, key_.get()) == 1;
  for (size_t i = 1; i < chain_.size() && taken; ++i)
    taken = SSL_add1_chain_cert(connection, chain_[i].get()) == 1;
  return taken ? Status()
               : unusable(identity_, "the client certificate and its key cannot be used");
}

}  // namespace depot::buildkit

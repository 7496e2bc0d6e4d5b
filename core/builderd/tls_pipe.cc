#include "builderd/tls_pipe.h"

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>

#include <algorithm>

namespace depot::builderd {

using base::Code;
using base::Hop;
using base::Status;

namespace {

Status tls_error(const std::string& what) {
  char text[256] = "unknown reason";
  if (unsigned long code = ERR_get_error()) ERR_error_string_n(code, text, sizeof text);
  ERR_clear_error();
  return Status(Code::kUnavailable, Hop::kBuilder, what + ": " + text);
}

int choose_protocol(SSL*, const unsigned char** out, unsigned char* out_size,
                    const unsigned char* in, unsigned in_size, void*) {
  static const unsigned char kOurs[] = "\x02h2\x08http/1.1";
  unsigned char* chosen = nullptr;
  if (SSL_select_next_proto(&chosen, out_size, kOurs, sizeof kOurs - 1, in, in_size) !=
      OPENSSL_NPN_NEGOTIATED) {
    return SSL_TLSEXT_ERR_ALERT_FATAL;
  }
  *out = chosen;
  return SSL_TLSEXT_ERR_OK;
}

struct FreeBio {
  void operator()(BIO* bio) const { BIO_free(bio); }
};
using OwnedBio = std::unique_ptr<BIO, FreeBio>;
struct FreeCertificate {
  void operator()(X509* certificate) const { X509_free(certificate); }
};
using OwnedCertificate = std::unique_ptr<X509, FreeCertificate>;

OwnedBio memory_of(std::string_view text) {
  return OwnedBio(BIO_new_mem_buf(text.data(), static_cast<int>(text.size())));
}

}  // namespace

struct TlsPipe::Impl {
  SSL* ssl = nullptr;
  BIO* in = nullptr;   // owned by ssl
  BIO* out = nullptr;  // owned by ssl
  ~Impl() { SSL_free(ssl); }
};

TlsPipe::TlsPipe(SSL_CTX* context) : impl_(std::make_unique<Impl>()) {
  impl_->ssl = SSL_new(context);
  impl_->in = BIO_new(BIO_s_mem());
  impl_->out = BIO_new(BIO_s_mem());
  SSL_set_bio(impl_->ssl, impl_->in, impl_->out);
  SSL_set_accept_state(impl_->ssl);
}

TlsPipe::~TlsPipe() = default;

Status TlsPipe::receive(std::string_view ciphertext, std::string& plaintext) {
  ERR_clear_error();
  BIO_write(impl_->in, ciphertext.data(), static_cast<int>(ciphertext.size()));
  for (;;) {
    char buffer[16 << 10];
    int n = SSL_read(impl_->ssl, buffer, sizeof buffer);
    if (n > 0) {
      plaintext.append(buffer, static_cast<size_t>(n));
      continue;
    }
    int why = SSL_get_error(impl_->ssl, n);
    if (why == SSL_ERROR_ZERO_RETURN) closed_ = true;
    if (why != SSL_ERROR_WANT_READ && why != SSL_ERROR_ZERO_RETURN) return tls_error("TLS");
    return flush();
  }
}

Status TlsPipe::send(std::string_view plaintext) {
  waiting_.append(plaintext);
  return flush();
}

Status TlsPipe::flush() {
  if (waiting_.empty() || !SSL_is_init_finished(impl_->ssl)) return base::ok_status();
  ERR_clear_error();
  size_t written = 0;
  if (SSL_write_ex(impl_->ssl, waiting_.data(), waiting_.size(), &written) != 1) {
    return tls_error("TLS");  // a memory BIO never asks to wait
  }
  waiting_.erase(0, written);
  return base::ok_status();
}

std::string TlsPipe::drain() {
  char* data = nullptr;
  long size = BIO_get_mem_data(impl_->out, &data);
  std::string out(data, static_cast<size_t>(std::max(size, 0L)));
  (void)BIO_reset(impl_->out);
  return out;
}

void FreeSslContext::operator()(SSL_CTX* context) const {
  SSL_CTX_free(context);
}

base::Result<SslContext> make_server_context(const std::string& certificate_pem,
                                             std::string_view key_pem,
                                             const std::string& client_ca_pem) {
  SslContext context(SSL_CTX_new(TLS_server_method()));
  if (!context) return tls_error("cannot make a TLS context");
  SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION);
  SSL_CTX_set_alpn_select_cb(context.get(), choose_protocol, nullptr);
  OwnedBio certificates = memory_of(certificate_pem);
  bool first = true;
  for (;; first = false) {
    OwnedCertificate one(PEM_read_bio_X509(certificates.get(), nullptr, nullptr, nullptr));
    if (!one) break;
    if (first ? SSL_CTX_use_certificate(context.get(), one.get()) != 1
              : SSL_CTX_add1_chain_cert(context.get(), one.get()) != 1) {
      return tls_error("cannot use the certificate");
    }
  }
  if (first) return tls_error("no certificate found");
  ERR_clear_error();
  OwnedBio key_bio = memory_of(key_pem);
  EVP_PKEY* key = PEM_read_bio_PrivateKey(key_bio.get(), nullptr, nullptr, nullptr);
  bool good = key && SSL_CTX_use_PrivateKey(context.get(), key) == 1 &&
              SSL_CTX_check_private_key(context.get()) == 1;
  EVP_PKEY_free(key);
  if (!good) return tls_error("cannot use the private key");
  if (client_ca_pem.empty()) return context;
  OwnedBio authorities = memory_of(client_ca_pem);
  first = true;
  for (;; first = false) {
    OwnedCertificate one(PEM_read_bio_X509(authorities.get(), nullptr, nullptr, nullptr));
    if (!one) break;
    X509_STORE_add_cert(SSL_CTX_get_cert_store(context.get()), one.get());
    SSL_CTX_add_client_CA(context.get(), one.get());
  }
  if (first) return tls_error("no client authority found");
  ERR_clear_error();
  SSL_CTX_set_verify(context.get(), SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, nullptr);
  return context;
}

}  // namespace depot::builderd

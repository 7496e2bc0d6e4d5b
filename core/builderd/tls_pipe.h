// TlsPipe: the server's side of TLS without I/O: ciphertext in, plaintext out, and back.
#pragma once

#include <memory>
#include <string>
#include <string_view>

#include "base/status.h"

using SSL_CTX = struct ssl_ctx_st;

namespace depot::builderd {

class TlsPipe {
 public:
  explicit TlsPipe(SSL_CTX* context);
  ~TlsPipe();

  // Takes bytes of the network; appends what they decrypt to. Not ok: the connection is dead.
  base::Status receive(std::string_view ciphertext, std::string& plaintext);
  // Encrypts; kept until the handshake is done.
  base::Status send(std::string_view plaintext);
  // Takes what is to go to the network.
  std::string drain();
  // After the peer's close_notify.
  bool closed() const { return closed_; }

 private:
  struct Impl;
  base::Status flush();
  std::unique_ptr<Impl> impl_;
  std::string waiting_;  // plaintext for which the handshake is not done
  bool closed_ = false;
};

struct FreeSslContext {
  void operator()(SSL_CTX* context) const;
};
using SslContext = std::unique_ptr<SSL_CTX, FreeSslContext>;

// Server context: TLS 1.2 or later, ALPN h2 and http/1.1. With `client_ca` only clients with a
// certificate of it are let in.
base::Result<SslContext> make_server_context(const std::string& certificate_pem,
                                             std::string_view key_pem,
                                             const std::string& client_ca_pem);

}  // namespace depot::builderd

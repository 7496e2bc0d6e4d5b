// How we speak TLS with a builder. Private to the buildkit module.
#pragma once

#include <openssl/ssl.h>

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "base/status.h"
#include "buildkit/channel.h"
#include "buildkit/pem.h"

namespace depot::buildkit {

// TLS 1.2 or later, HTTP/2 by ALPN, the other side verified against the identity's CAs (any of
// which may be an intermediate one, as in Go) or the system's. One thread.
//
// In two steps, for certificates and a key take as long to read as a builder takes to answer the
// greeting, which needs none of them.
class TlsContext {
 public:
  // Makes what the greeting needs. `identity` stays where it is.
  static base::Result<std::unique_ptr<TlsContext>> make(const TlsIdentity& identity,
                                                        base::Environment environment);

  SSL_CTX* get() const { return context_.get(); }
  // The rest, for a connection that has sent its greeting and read no answer. Until then the
  // context trusts nobody. kInvalidArgument for an identity that cannot be used, in the words of
  // check_identity().
  base::Status identify(SSL* connection);

 private:
  TlsContext(const TlsIdentity& identity, base::Environment environment)
      : identity_(identity), environment_(std::move(environment)) {}
  base::Status read_identity();

  const TlsIdentity& identity_;
  const base::Environment environment_;
  std::unique_ptr<SSL_CTX, Deleter<SSL_CTX_free>> context_;
  bool read_ = false;
  std::vector<X509Ptr> chain_;  // ours, its end first; empty: we have none
  KeyPtr key_;
};

// What OpenSSL said last, as text, taken off its queue.
std::string tls_reason();

}  // namespace depot::buildkit

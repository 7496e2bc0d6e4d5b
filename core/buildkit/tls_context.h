// How we speak TLS with a builder. Private to the buildkit module.
#pragma once

#include <memory>
#include <string>

#include "base/status.h"
#include "buildkit/channel.h"

using SSL_CTX = struct ssl_ctx_st;

namespace depot::buildkit {

struct FreeTlsContext {
  void operator()(SSL_CTX* context) const;
};
using TlsContext = std::unique_ptr<SSL_CTX, FreeTlsContext>;

// TLS 1.2 or later, HTTP/2 by ALPN, the other side verified against the identity's CAs (any of
// which may be an intermediate one, as in Go) or the system's. kInvalidArgument for an identity
// that cannot be used, in the words of check_identity().
base::Result<TlsContext> make_tls_context(const TlsIdentity& identity,
                                          const base::Environment& environment);

// What OpenSSL said last, as text, taken off its queue.
std::string tls_reason();

}  // namespace depot::buildkit

// Checks of a TLS identity that are better made before a handshake fails on them.
#pragma once

#include "base/status.h"
#include "buildkit/channel.h"

namespace depot::buildkit {

// Certificate and key parse, belong together, and the certificate is valid now.
base::Status check_identity(const TlsIdentity& identity);

}  // namespace depot::buildkit

// gRPC statuses of BuildKit, made into base::Error: details decoded, unknown ones kept.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace depot::buildkit {

// `details` is a serialized google.rpc.Status (grpc-status-details-bin) or empty. BuildKit puts
// JSON into its Anys: vertex, source ranges and exit code are read from there; whatever cannot be
// read is still kept as a raw detail. Message prefixes of Go's transport are left as they came.
base::Status status_from_grpc(int code, const std::string& message, std::string_view details,
                              base::Hop hop);

// The failure of a connection attempt, told by gRPC as text, as a typed error: a certificate that
// does not verify or a refused identity is kUnauthenticated and not worth retrying; other failures
// are kUnavailable.
base::Status connect_error(const std::string& address, const std::string& grpc_message);

}  // namespace depot::buildkit

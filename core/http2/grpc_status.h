// A base::Status as gRPC's trailers. Private to http2.
#pragma once

#include "base/status.h"
#include "http2/server.h"

namespace depot::http2 {

// grpc-status, grpc-message (percent-encoded) and, if the error has details,
// grpc-status-details-bin. A message of more than 8 KiB is cut: peers bound their header lists.
void add_grpc_status(Headers& headers, const base::Status& status);

}  // namespace depot::http2

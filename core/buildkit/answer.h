// How a gRPC call over HTTP/2 ended: by its trailers, by an answer that is no gRPC, by a reset.
// Private to the buildkit module. https://github.com/grpc/grpc/blob/master/doc/ has the rules
// (PROTOCOL-HTTP2, http-grpc-status-mapping).
#pragma once

#include <cstdint>

#include "base/status.h"
#include "http2/headers.h"

namespace depot::buildkit {

// OK when a response's header fields are those of a gRPC call.
base::Status not_grpc(const http2::Headers& response);
base::Status status_of_trailers(const http2::Headers& trailers);
// RST_STREAM, or a connection that ends, with an HTTP/2 error code.
base::Status status_of_reset(uint32_t http2_error_code);

}  // namespace depot::buildkit

// gRPC's own log lines, kept off the process's stderr, and its debugging aids, off. Private to
// buildkit.
#pragma once

namespace depot::buildkit {

// gRPC prints to stderr (a refused certificate is three lines for every attempt), which a library
// must not. Once per process; whoever sets GRPC_VERBOSITY or GRPC_TRACE wants to see them and does.
// Another user of the same shared libgrpc in this process loses its error lines with ours.
void quiet_grpc();

}  // namespace depot::buildkit

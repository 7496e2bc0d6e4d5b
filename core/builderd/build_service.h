// depot.cli.v1.BuildService on a ControlPlane: request bytes in, response bytes or an error out.
// Knows nothing of HTTP: the router (server.h) brings the bytes and the bearer token.
#pragma once

#include <functional>
#include <map>
#include <string>
#include <string_view>

#include "base/secret.h"
#include "base/status.h"
#include "builderd/control_plane.h"

namespace depot::builderd {

// Neither is empty and both are the same; tells no more by the time it takes.
bool same_secret(const base::Secret& a, const base::Secret& b);

struct RpcContext {
  base::Secret token;    // what came after "Bearer ", or empty
  bool trusted = false;  // a peer on the Unix socket: our own user, by the kernel's word
};

using RpcDone = std::function<void(base::Result<std::string>)>;
// Calls `done` once, on the loop, at once or later.
using Rpc = std::function<void(const RpcContext& context, std::string_view request, RpcDone done)>;

// Handlers by path ("/depot.cli.v1.BuildService/CreateBuild"). `user_token`: what callers that are
// not trusted must show where Depot wants a user's token; empty: no such caller is let in. The
// control plane must outlive the handlers.
std::map<std::string, Rpc> build_service(ControlPlane& plane, const base::Secret& user_token);

}  // namespace depot::builderd

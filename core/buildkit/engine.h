// A Docker Engine's API, as far as it leads to the BuildKit inside: POST /grpc, upgraded from
// HTTP/1.1 to the HTTP/2 that gRPC is made of. Private to the module.
//
// The session goes through Control.Session on that connection, like everywhere: the engine's other
// end point, /session, reaches the same sessions by a second connection, and would want HTTP/2 to
// be read from a socket by a thread that there is not.
#pragma once

#include <string>

#include "base/fd.h"
#include "base/wait.h"
#include "buildkit/address.h"

namespace depot::buildkit {

// A connection to a unix:// or tcp:// address. Blocks; names are looked up on a thread of its own,
// which is left alone when the wait ends before the name server answers.
base::Result<base::UniqueFd> connect_socket(const Address& address, base::Waiter& waiter);

// Asks the engine at the other end of `fd` for its BuildKit. Afterwards every byte on it is
// HTTP/2's. `name`: of the engine, for errors.
base::Status upgrade(int fd, const std::string& name, base::Waiter& waiter);

}  // namespace depot::buildkit

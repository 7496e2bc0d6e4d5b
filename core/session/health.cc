#include "session/services.h"
#include "wire/methods.h"

namespace depot::session {

void add_health(http2::GrpcServer& server) {
  // HealthCheckResponse{status: SERVING = 1}. The daemon asks every 5 s for the empty service name;
  // a name it does not know is served as well, since the session as a whole is up or is not.
  server.add_unary(
      std::string(wire::kHealthCheck),
      [](std::span<const uint8_t>, const http2::Headers&) -> base::Result<std::string> {
        return std::string("\x08\x01", 2);
      });
}

}  // namespace depot::session

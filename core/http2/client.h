// HTTP/2 client engine without I/O: bytes in, bytes out, over nghttp2. The other end of server.h.
//
// What server.h says of threads, of pulling and of fatal errors holds here too. Handlers and bodies
// are called within receive() and produce(), on_close after produce(); they may start, reset,
// resume and consume, but not receive() or produce().
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>

#include "base/status.h"
#include "http2/headers.h"
#include "http2/output.h"

namespace depot::http2 {

// A request's body, pulled as the peer's windows allow.
class RequestBody {
 public:
  struct Ready {
    size_t bytes = 0;  // that take() will have; may be non-zero in every state
    BodyState state = BodyState::kMore;
  };
  virtual ~RequestBody() = default;
  // How much of at most `max` bytes (>= 1) there is; kMore with none is not allowed.
  virtual Ready ready(size_t max) = 0;
  // Puts just as many bytes as ready() said into `out`, in as many pieces as they lie in.
  virtual void take(size_t bytes, Output& out) = 0;
};

// The client's side of one exchange.
class ResponseHandler {
 public:
  virtual ~ResponseHandler() = default;
  // The response's header fields; then its trailers, if it has any, with `end`. Informational ones
  // (1xx) are left out.
  virtual void on_headers(const Headers& headers, bool end) = 0;
  virtual void on_data(std::span<const uint8_t> data) = 0;
  // END_STREAM without trailers.
  virtual void on_end() = 0;
  // The exchange is gone: 0 after a complete one, else the HTTP/2 error code. Last, once.
  virtual void on_close(uint32_t http2_error_code) = 0;
};

// Owned by the connection; alive until ResponseHandler::on_close returns.
class Exchange {
 public:
  // The body has data again. No effect when it was not pending.
  virtual void resume() = 0;
  // RST_STREAM; the handler still gets on_close. The body is not asked any more.
  virtual void reset(uint32_t http2_error_code) = 0;
  // Gives `bytes` of what on_data had back to the peer, which may send as many more.
  virtual void consume(size_t bytes) = 0;

 protected:
  virtual ~Exchange() = default;
};

struct ClientOptions {
  uint32_t stream_window = 8 << 20;
  uint32_t connection_window = 16 << 20;
  // Bytes, of one response or its trailers: as much as clients in Go take. A failed build's details
  // are there, with the whole Dockerfile.
  uint32_t max_header_list = 16 << 20;
};

class ClientConnection {
 public:
  static std::unique_ptr<ClientConnection> create(const ClientOptions& options);
  virtual ~ClientConnection() = default;

  // A new exchange; null where the connection takes no more of them (see accepts()). `body` null:
  // headers alone, with END_STREAM. Both live until on_close.
  virtual Exchange* start(const Headers& request, std::shared_ptr<RequestBody> body,
                          std::shared_ptr<ResponseHandler> handler) = 0;
  // The peer's SETTINGS came: somebody is there who speaks HTTP/2.
  virtual bool greeted() const = 0;
  // False once the peer said GOAWAY, or all stream numbers are used up.
  virtual bool accepts() const = 0;
  virtual size_t open_exchanges() const = 0;
  // Any answer to it shows that the peer lives.
  virtual void ping() = 0;

  virtual base::Status receive(std::span<const uint8_t> bytes) = 0;
  virtual size_t produce(Output& out) = 0;
  // Not ok: the connection is dead, receive() or produce() found out why.
  virtual const base::Status& failure() const = 0;
  virtual bool wants_write() const = 0;
};

}  // namespace depot::http2

// HTTP/2 server engine without I/O: bytes in, bytes out, over nghttp2.
//
// The daemon's calls into a session and the local builder's API both end here. The engine owns no
// socket, no thread and no timer: feed it with receive(), drain it with produce(). All of a
// connection's objects live on one thread (its loop); nothing here locks.
//
// Invariants
//  - produce() never blocks. It calls BodySource's read and lend while it works and, when it is
//  done,
//    StreamHandler::on_close of the streams that ended with it.
//  - A body is pulled: nothing is queued ahead of what the peer's windows and the caller's buffer
//    take, which is all the back-pressure there is and all that is needed.
//  - receive() calls StreamHandler methods; these may call respond(), resume(), reset() and
//    consume(), but not receive() or produce().
//  - After a fatal error (receive() not ok) only destruction is legal.
#pragma once

#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "http2/headers.h"
#include "http2/output.h"

namespace depot::http2 {

struct BodyRead {
  size_t bytes = 0;  // written to `out`; may be non-zero in every state
  BodyState state = BodyState::kMore;
};

struct BodyLoan {
  base::SharedBytes bytes;
  BodyState state = BodyState::kMore;
};

// A response body, pulled as the peer's windows allow.
class BodySource {
 public:
  virtual ~BodySource() = default;
  // Writes at most out.size() bytes. Must make progress for any out.size() >= 1: windows leave
  // remainders of a few bytes, and a source that waits for a larger buffer hangs the stream for
  // ever (the prototype did). kMore with 0 bytes is not allowed.
  virtual BodyRead read(std::span<uint8_t> out) = 0;
  // Tried first where the bytes need not be copied: at most `max` of them, as they lie. None and
  // kMore: they do not lie well, use read().
  virtual BodyLoan lend(size_t max) {
    (void)max;
    return {};
  }
  // Asked once, after kEnd; empty: END_STREAM on the last DATA frame, no trailers.
  virtual Headers trailers() { return {}; }
};

// One request of the peer. Owned by the connection; alive until StreamHandler::on_close returns.
class Stream {
 public:
  virtual int32_t id() const = 0;
  virtual const Headers& request() const = 0;  // with :method, :path, :authority, :scheme
  // Once. `body` null: headers alone, with END_STREAM (Trailers-only in gRPC's words).
  virtual void respond(Headers headers, std::unique_ptr<BodySource> body) = 0;
  // The pending body has data again. No effect when it was not pending.
  virtual void resume() = 0;
  // RST_STREAM; the handler still gets on_close.
  virtual void reset(uint32_t http2_error_code) = 0;
  // Gives `bytes` of receive window back. Only with Options::manual_window; on_data never does so
  // by itself then. The connection's window is replenished at once in either case, so that one
  // slow stream cannot stall its neighbours.
  virtual void consume(size_t bytes) = 0;

 protected:
  virtual ~Stream() = default;
};

// The server's side of one stream; made by the acceptor, destroyed after on_close.
class StreamHandler {
 public:
  virtual ~StreamHandler() = default;
  virtual void on_data(std::span<const uint8_t> data) = 0;
  virtual void on_end() = 0;  // the peer half-closed
  // The stream is gone: 0 after a complete exchange, else the HTTP/2 error code.
  virtual void on_close(uint32_t http2_error_code) = 0;
};

struct ServerOptions {
  uint32_t max_concurrent_streams = 1000;  // the daemon overlaps many calls; Go's default is 250
  uint32_t stream_window = 1 << 20;
  uint32_t connection_window = 4 << 20;
  // Bytes, as Go's servers have it: a .dockerignore travels as headers, and its rules count 50 and
  // more each. A client in Go refuses by itself to send more than this.
  uint32_t max_header_list = 1 << 20;
  bool manual_window = false;  // see Stream::consume
};

class ServerConnection {
 public:
  // Makes the handler of a new request, whose headers are complete. Returning null resets it.
  using Acceptor = std::function<std::unique_ptr<StreamHandler>(Stream&)>;

  static std::unique_ptr<ServerConnection> create(const ServerOptions& options, Acceptor accept);
  virtual ~ServerConnection() = default;

  // Feeds bytes of any fragmentation. Not ok: the connection is dead (drain produce() once for the
  // GOAWAY, then destroy).
  virtual base::Status receive(std::span<const uint8_t> bytes) = 0;
  // Writes frames into `out` until it is full or there is nothing to say; returns the bytes
  // written. `out` should have room for 32 KiB or more.
  virtual size_t produce(Output& out) = 0;
  size_t produce(std::span<uint8_t> memory) {
    Output out(memory);
    return produce(out);
  }
  // True if produce() would write something now.
  virtual bool wants_write() const = 0;
  // GOAWAY: streams under way finish, new ones are refused.
  virtual void shut_down() = 0;
  // True once neither side will say anything more.
  virtual bool finished() const = 0;
  virtual size_t open_streams() const = 0;
};

}  // namespace depot::http2

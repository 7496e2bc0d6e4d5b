// gRPC's server framing on the engine: 5-byte message prefixes, trailers, statuses, routing.
//
// A method is a factory that makes a CallHandler per call. Handlers run on the connection's thread
// and must not block; what blocks goes to a pool and comes back by Loop::post, holding a
// std::weak_ptr<Call>: a call that ended meanwhile is a lock() that fails.
#pragma once

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"
#include "http2/server.h"

namespace depot::http2 {

// The server's side of one gRPC call. Every method may be called after the call ended: it then does
// nothing.
class Call {
 public:
  virtual ~Call() = default;
  virtual const Headers& metadata() const = 0;
  // Queues one message, framed here. `queued` tells how much waits, for callers with back-pressure.
  virtual void send(std::string_view message) = 0;
  virtual size_t queued() const = 0;  // bytes
  // Hands the whole response stream to a source that writes length-prefixed messages by itself;
  // used where a thousand messages share a frame (filesync). Its kEnd ends the call with
  // `source_status()`, asked then. Exclusive with send().
  virtual void stream(std::unique_ptr<BodySource> source,
                      std::function<base::Status()> source_status) = 0;
  virtual void resume() = 0;  // a pending source has data again
  // Ends the call after what is queued. A status's details travel in grpc-status-details-bin.
  virtual void finish(const base::Status& status) = 0;
  // Back-pressure on what the peer sends: the window is given back by hand after hold(true).
  virtual void hold(bool on) = 0;
  virtual bool ended() const = 0;
};

class CallHandler {
 public:
  virtual ~CallHandler() = default;
  // One whole message; valid during the call alone.
  virtual void on_message(std::span<const uint8_t> message) = 0;
  // Of a message that is not whole: what came of it, and how much is to follow. True takes it, and
  // what follows comes here as well, to `left` of 0, instead of on_message(): it is not put
  // together, which is a copy less. What it returns then says nothing.
  virtual bool on_part(std::span<const uint8_t> bytes, size_t left) {
    (void)bytes, (void)left;
    return false;
  }
  virtual void on_half_close() {}
  // The call is over: finished (ok) or broken off by the peer (kCancelled).
  virtual void on_end(const base::Status& why) { (void)why; }
};

class GrpcServer {
 public:
  using Method = std::function<std::unique_ptr<CallHandler>(std::shared_ptr<Call>)>;
  // Answers one request message with one response message or an error, at once.
  using Unary = std::function<base::Result<std::string>(std::span<const uint8_t> request,
                                                        const Headers& metadata)>;
  // The same, answered later: `done` on the connection's thread, once.
  using UnaryDone = std::function<void(base::Result<std::string>)>;
  using AsyncUnary =
      std::function<void(std::string request, const Headers& metadata, UnaryDone done)>;

  // `path` is "/package.Service/Method". A message above `max_message` is refused with
  // ResourceExhausted; 16 MiB is BuildKit's own bound, for those that carry content. So are, beyond
  // 64 MiB, the beginnings of messages of all calls together.
  void add(std::string path, Method method, size_t max_message = 16 << 20);
  // Requests of unary methods are small: 256 KiB.
  void add_unary(std::string path, Unary method);
  void add_async_unary(std::string path, AsyncUnary method);
  // "/package.Service/Method", sorted: what a session announces.
  std::vector<std::string> paths() const;
  // The acceptor for ServerConnection::create. Unknown paths get UNIMPLEMENTED naming the method.
  // The server must outlive the connection.
  std::unique_ptr<StreamHandler> accept(Stream& stream) const;

 private:
  struct Entry {
    Method method;
    size_t max_message;
  };
  std::map<std::string, Entry, std::less<>> methods_;
  // Bytes of messages that are not whole, of all calls. A stream's handler may outlive the server.
  std::shared_ptr<size_t> partial_ = std::make_shared<size_t>(0);
};

}  // namespace depot::http2

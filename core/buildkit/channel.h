// The outer connection to one BuildKit, for gRPC calls.
//
// A Channel is one machine's use of a connection, which others may use as well (ChannelPool).
// One thread per connection does the I/O, the TLS, every call's bookkeeping and, through
// session::Session, the inner HTTP/2 engine. It is a base::Loop: other threads only ever post to
// it. Calls are raw (bytes in, bytes out); no generated stubs. What carries them is in transport.h.
//
// Invariants
//  - Everything of a Call happens on the loop thread; observers are called there and must not
//  block.
//  - on_done is called exactly once per started call, last, also when the channel stops.
//  - stop() cancels every call of the channel and waits for their on_done; with the last channel of
//  a
//    connection its thread ends. It is idempotent.
//
// Measured on a prototype: a second hand-over thread costs 12 to 50 % more CPU on bulk transfers,
// which is why nothing here is handed to another thread.
#pragma once

#include <sys/types.h>

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/cancel.h"
#include "base/environment.h"
#include "base/loop.h"
#include "base/secret.h"
#include "base/shared_bytes.h"
#include "base/status.h"

namespace depot::buildkit {

// What proves the machine to us and us to the machine; PEM, in memory only.
struct TlsIdentity {
  std::string ca_pem;    // empty: the system's roots
  std::string cert_pem;  // empty: no client certificate
  base::Secret key_pem;
  std::string server_name;  // SNI, verification and :authority; empty: the host of the address
};

struct Endpoint {
  std::string address;  // see address.h
  std::optional<TlsIdentity> tls;
  bool gzip = false;             // the machine asked for compressed messages
  bool allow_plaintext = false;  // plain TCP to an address that is not loopback
  int64_t max_message = 128 << 20;
  // Of client programs, for addresses that need one; null: none.
  std::shared_ptr<const base::Environment> environment;
};

// One received message. Slices point into the transport's buffers and live as long as the message.
class Message {
 public:
  virtual ~Message() = default;
  virtual size_t size() const = 0;
  virtual const std::vector<std::span<const uint8_t>>& slices() const = 0;
  std::string flatten() const;
};

class Call {
 public:
  virtual ~Call() = default;
  // One message, made of `head` (copied) and `pieces`, which are not copied before TLS: their
  // owners are held until then. One write at a time: true if it was taken; false while one is under
  // way (on_writable follows) or the call is over.
  virtual bool write(std::span<const uint8_t> head,
                     const std::vector<base::SharedBytes>& pieces) = 0;
  virtual bool writable() const = 0;
  // No more writes will come. Pending ones are sent first.
  virtual void half_close() = 0;
  // After on_message returned false: read on.
  virtual void resume_reading() = 0;
  virtual void cancel() = 0;
};

struct CallOptions {
  std::string_view method;  // "/package.Service/Method", a constant of wire/methods.h
  std::vector<std::pair<std::string, std::string>> metadata;
  // The one request of a unary or server-streaming call, sent with the headers and half-closed.
  std::optional<std::string> request;
  std::optional<std::chrono::milliseconds> timeout;
};

struct CallObserver {
  // Returning false holds the stream back until resume_reading(): flow control then holds the
  // peer back.
  std::function<bool(const Message&)> on_message;
  // Null: every message is told whole. Else one that did not come at once may be told here, in
  // pieces, `left` bytes of it to follow; for who never holds back.
  std::function<void(std::span<const uint8_t> bytes, size_t left)> on_part;
  std::function<void()> on_writable;
  std::function<void(base::Status)> on_done;
};

// How long whoever opens a channel waits, where that takes time.
struct Patience {
  base::Cancel cancel = base::Cancel::never();
  std::chrono::milliseconds timeout{20000};
};

class Channel {
 public:
  // Does no I/O beyond starting the thread; the first call connects. But for addresses that are
  // dialled (address.h): their client program is started here, and a Docker Engine asked, which
  // blocks. Fails for a malformed address, an identity that is half there, or plain text to a far
  // host.
  static base::Result<std::shared_ptr<Channel>> open(const Endpoint& endpoint,
                                                     const Patience& patience = Patience());
  virtual ~Channel() = default;

  virtual base::Loop& loop() = 0;
  virtual const std::string& address() const = 0;
  // Loop thread only. Null when the channel is stopping (on_done is called nevertheless).
  virtual std::shared_ptr<Call> start(CallOptions options, CallObserver observer) = 0;
  // One request, one response. Loop thread only.
  virtual std::shared_ptr<Call> unary(CallOptions options,
                                      std::function<void(base::Result<std::string>)> done) = 0;
  // Not from the loop thread. Whoever opened the channel stops it before letting go: what still
  // runs on the loop may hold it, and must not be what ends the loop.
  virtual void stop() = 0;
  // True with TLS.
  virtual bool secured() const = 0;
  // What is wrong with our own identity: a certificate or key that cannot be parsed, that do not
  // belong together, or that expired. For a connection that could not be made, whose failure says
  // none of it; not asked before, since parsing takes longer (2 ms) than the rest of open().
  virtual base::Status check_identity() const = 0;
  // Whether a call connects anew once the connection is lost. Not so where it was dialled.
  virtual bool reconnects() const = 0;
  // Adds what the client program of the connection said to a failure of the connection; others
  // come back as they are. May block for a moment; not on the loop thread.
  virtual base::Status explain(const base::Status& status) const = 0;
  // The process that opened the channel: its thread does not survive fork().
  virtual bool usable_here() const = 0;
};

// Opens channels, those to one machine over as few connections as is good for them: concurrent
// builds of a process share handshake, thread and TCP flow. A connection closes with the last
// channel on it. Any thread.
class ChannelPool {
 public:
  ChannelPool();
  ~ChannelPool();
  // As Channel::open(), unless one can be shared.
  base::Result<std::shared_ptr<Channel>> open(const Endpoint& endpoint,
                                              const Patience& patience = Patience());

 private:
  struct Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace depot::buildkit

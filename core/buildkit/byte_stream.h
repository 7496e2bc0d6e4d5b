// Bytes over a connected socket, plain or in TLS, without waiting for it. Private to the buildkit
// module; one thread.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "base/fd.h"
#include "base/shared_bytes.h"
#include "base/status.h"

namespace depot::buildkit {

class TlsContext;

class ByteStream {
 public:
  // The socket may be blocking or not: it is never waited for.
  static std::unique_ptr<ByteStream> plain(base::UniqueFd fd);
  // `name`: that the other side must prove to have; an address is none to ask for by SNI. `context`
  // lives longer.
  static base::Result<std::unique_ptr<ByteStream>> tls(base::UniqueFd fd, TlsContext& context,
                                                       const std::string& name);
  virtual ~ByteStream() = default;

  virtual int fd() const = 0;
  // One step of the handshake: true when it is done, false when the socket has to be read first.
  // What it has to send is sent by flush(), but for the greeting, which has left by then.
  virtual base::Result<bool> shake_hands() = 0;
  // The socket has something: read() and shake_hands() look there again. They do not from the time
  // on that they found less than there was room for, which saves asking a second time for nothing.
  void readable() { drained_ = false; }
  // At most out.size() bytes; 0: none now, and none left over inside. kUnavailable when the other
  // side closed, after all that it sent.
  virtual base::Result<size_t> read(std::span<uint8_t> out) = 0;
  // Takes everything, and sends what the socket has room for; the rest is unsent().
  virtual base::Status write(const std::vector<base::SharedBytes>& pieces) = 0;
  // Sends what there is. Not ok: the connection is lost.
  virtual base::Status flush() = 0;
  virtual size_t unsent() const = 0;
  // Says goodbye, as far as that needs no waiting.
  virtual void close() = 0;

 protected:
  // recv() without waiting; -1 with EAGAIN once it is drained.
  ssize_t receive(void* out, size_t size);

 private:
  bool drained_ = false;
};

}  // namespace depot::buildkit

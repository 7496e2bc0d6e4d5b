// What channels to one machine share: a transport, which is one connection and the thread that
// serves it. Private to the buildkit module.
#pragma once

#include <unistd.h>

#include <chrono>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "buildkit/channel.h"
#include "buildkit/dial.h"
#include "buildkit/transport.h"

namespace depot::buildkit {

class Connection;

// Connections that nobody uses any more, kept for a while for the next build of this process, which
// then has no handshake to make: a third of the CPU of a small one, and two round trips. Any
// thread.
class IdleConnections {
 public:
  explicit IdleConnections(std::chrono::milliseconds time = std::chrono::milliseconds(8000))
      : time_(time) {}
  ~IdleConnections();
  void keep(std::shared_ptr<Connection> connection);

 private:
  const std::chrono::milliseconds time_;
  std::mutex mutex_;
  std::vector<std::shared_ptr<Connection>> kept_;  // guarded by mutex_; some are in use again
};

class Connection : public std::enable_shared_from_this<Connection> {
 public:
  // With one user. Connects when the first call is made.
  static base::Result<std::shared_ptr<Connection>> open(const Endpoint& endpoint,
                                                        const Patience& patience);

  base::Loop& loop() { return transport_->loop(); }
  Transport& transport() { return *transport_; }
  const Endpoint& endpoint() const { return endpoint_; }
  // Null where the transport connects by itself.
  const Dialled* dialled() const { return dialled_.get(); }
  // False in a child of the process that opened it.
  bool usable_here() const { return owner_ == getpid(); }

  // Whether `endpoint` means this connection, and it stands or can be made again: same machine,
  // same identity, same ways.
  bool leads_to(const Endpoint& endpoint) const;
  // One user more; false if there are too many, if it is closed, or if nothing was heard for that
  // long.
  bool join(std::chrono::milliseconds silence);
  // One user less, whose calls have all ended. With the last one it is kept in `idle`, or closed if
  // that is null. Not from the loop.
  void leave(IdleConnections* idle);
  // Closes it and waits for its thread, unless it has users. Not from the loop.
  void close_if_idle();
  bool closed() const;

 private:
  friend class IdleConnections;

  Connection(std::unique_ptr<Transport> transport, Endpoint endpoint,
             std::unique_ptr<Dialled> dialled);
  void begin_idling(std::chrono::milliseconds time);

  const std::unique_ptr<Dialled> dialled_;  // goes last: the transport closes its end first
  const std::unique_ptr<Transport> transport_;
  const Endpoint endpoint_;
  const pid_t owner_ = getpid();
  mutable std::mutex mutex_;
  size_t users_ = 1;     // guarded by mutex_
  size_t spells_ = 0;    // guarded by mutex_; of idling, so far
  bool closed_ = false;  // guarded by mutex_; for good
  std::mutex joining_;   // several may wait for the thread
};

}  // namespace depot::buildkit

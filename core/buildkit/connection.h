// What channels to one machine share: gRPC's channel, which is one TCP connection, and the thread
// that serves it. Private to the buildkit module.
#pragma once

#include <grpcpp/channel.h>
#include <grpcpp/generic/generic_stub.h>
#include <unistd.h>

#include <atomic>
#include <chrono>
#include <memory>
#include <mutex>
#include <string>

#include "buildkit/channel.h"
#include "buildkit/cq_loop.h"
#include "buildkit/dial.h"

namespace depot::buildkit {

class Connection {
 public:
  // With one user. Connects when the first call is made.
  static base::Result<std::shared_ptr<Connection>> open(const Endpoint& endpoint,
                                                        const Patience& patience);

  CqLoop& loop() { return loop_; }
  grpc::GenericStub& stub() { return stub_; }
  const Endpoint& endpoint() const { return endpoint_; }
  // Null where gRPC connects by itself.
  const Dialled* dialled() const { return dialled_.get(); }
  // False in a child of the process that opened it.
  bool usable_here() const { return owner_ == getpid(); }

  // Whether `endpoint` means this connection, and it stands or can be made again: same machine,
  // same identity, same ways.
  bool leads_to(const Endpoint& endpoint) const;
  // One user more; false if there are too many, or were none any more, or if nothing was heard for
  // that long.
  bool join(std::chrono::milliseconds silence);
  // Something came. Loop thread.
  void heard() { heard_.store(Clock::now().time_since_epoch(), std::memory_order_relaxed); }
  // One user less, whose calls have all ended. The last one's call ends the thread and waits for
  // it; not from the loop.
  void leave();

 private:
  using Clock = std::chrono::steady_clock;

  Connection(std::shared_ptr<grpc::Channel> channel, Endpoint endpoint,
             std::unique_ptr<Dialled> dialled);

  const std::unique_ptr<Dialled> dialled_;  // goes last: gRPC closes its end first
  CqLoop loop_;
  std::shared_ptr<grpc::Channel> channel_;
  grpc::GenericStub stub_;
  const Endpoint endpoint_;
  const pid_t owner_ = getpid();
  std::atomic<Clock::duration> heard_{Clock::now().time_since_epoch()};
  std::mutex mutex_;
  size_t users_ = 1;  // guarded by mutex_; never again above 0
};

}  // namespace depot::buildkit

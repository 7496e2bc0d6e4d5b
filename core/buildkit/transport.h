// What carries the calls of a connection: HTTP/2 over a socket, and the thread that serves it.
// Private to the buildkit module.
//
// There are two, of which one is linked. http2_transport.cc is our own, over nghttp2 and OpenSSL:
// the start of gRPC's library alone is a third of a small build's CPU, and it copies every byte
// four times more. grpc_transport.cc is gRPC's: it says what is right where the two differ (the
// tests of this module run on both), and DEPOT_TRANSPORT=grpc builds libdepot with it.
#pragma once

#include <atomic>
#include <chrono>
#include <memory>

#include "base/fd.h"
#include "buildkit/address.h"
#include "buildkit/channel.h"

namespace depot::buildkit {

class Transport {
 public:
  using Clock = std::chrono::steady_clock;

  virtual ~Transport() = default;
  virtual base::Loop& loop() = 0;
  // Loop thread only. Never null; observers are called later, not within.
  virtual std::shared_ptr<Call> start(CallOptions options, CallObserver observer) = 0;
  // Loop thread only, when every call has ended: closes the connection, and the thread ends. Later
  // posts are dropped.
  virtual void close() = 0;
  // Waits for the thread. After close(); not on the loop thread.
  virtual void join() = 0;

  // When something came last. Any thread.
  Clock::duration silence() const {
    return Clock::now().time_since_epoch() - heard_.load(std::memory_order_relaxed);
  }

 protected:
  void heard() { heard_.store(Clock::now().time_since_epoch(), std::memory_order_relaxed); }

 private:
  std::atomic<Clock::duration> heard_{Clock::now().time_since_epoch()};
};

// Defined by the transport that is linked. `given`: the connection, where it is not to be made
// (address.dialled()).
base::Result<std::unique_ptr<Transport>> make_transport(const Address& address,
                                                        const Endpoint& endpoint,
                                                        base::UniqueFd given);

// How long one attempt to connect may take, a slow TLS handshake and all.
constexpr std::chrono::milliseconds kConnectTimeout{20000};
// A connection that died silently is noticed in the end. Not more often: a Go server without a
// policy of its own answers pings closer than 5 minutes with GOAWAY.
constexpr std::chrono::milliseconds kKeepaliveTime{330000};
constexpr std::chrono::milliseconds kKeepaliveTimeout{20000};

}  // namespace depot::buildkit

// Repeating calls that failed for a passing reason. Private to the depotapi module.
#pragma once

#include <chrono>
#include <cstdint>
#include <random>

#include "base/id.h"
#include "base/log.h"
#include "depotapi/build_api.h"
#include "depotapi/connect.h"

namespace depot::depotapi {

// Waits between tries: exponential, capped, with full jitter (a random part of the whole), so that
// clients that failed together do not come back together.
class Backoff {
 public:
  static constexpr std::chrono::milliseconds kFirst{200}, kMost{5000};

  Backoff() : random_(base::random_seed()) {}
  std::chrono::milliseconds next();

 private:
  std::minstd_rand random_;
  std::chrono::milliseconds bound_ = kFirst;
};

// How often the same request may be sent in all. Again and again for what passes: 429, what Connect
// calls unavailable, transport failures. A few times for other 5xx: they pass too, but a server
// that always answers so should not cost the caller half a minute. Once for everything else.
int tries_for(const UnaryAnswer& answer);

// How long a first try may go without an answer, where there may be a second: the connection may be
// dead. Doubled from try to try, for servers that are but slow.
inline constexpr std::chrono::milliseconds kFirstTry{10000};

// Calls until it is well, not worth repeating, cancelled or out of time. A request marked `once` is
// repeated only if nothing of it had been sent. request.timeout is set from `options`. After a try
// without an answer the next has a fresh connection.
UnaryAnswer call_with_retries(const ConnectClient& client, const UnaryRequest& request,
                              const CallOptions& options, const base::LogSink& log,
                              std::chrono::milliseconds first_try = kFirstTry);

}  // namespace depot::depotapi

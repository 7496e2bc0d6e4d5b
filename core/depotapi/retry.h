// Repeating calls that failed for a passing reason. Private to the depotapi module.
#pragma once

#include <chrono>
#include <cstdint>
#include <random>

#include "base/log.h"
#include "depotapi/build_api.h"
#include "depotapi/connect.h"

namespace depot::depotapi {

// Waits between tries: exponential, capped, with full jitter (a random part of the whole), so that
// clients that failed together do not come back together.
class Backoff {
 public:
  static constexpr std::chrono::milliseconds kFirst{200}, kMost{5000};

  Backoff() : random_(std::random_device{}()) {}
  std::chrono::milliseconds next();

 private:
  std::minstd_rand random_;
  std::chrono::milliseconds bound_ = kFirst;
};

// Whether the same request may do better: 429, what Connect calls unavailable, transport failures.
bool worth_repeating(const UnaryAnswer& answer);

// Calls until it is well, not worth repeating, cancelled or out of time. A request marked `once` is
// repeated only if nothing of it had been sent. request.timeout is set from `options`.
UnaryAnswer call_with_retries(const ConnectClient& client, const UnaryRequest& request,
                              const CallOptions& options, const base::LogSink& log);

}  // namespace depot::depotapi

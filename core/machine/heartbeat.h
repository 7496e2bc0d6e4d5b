// The heartbeat of a lease: ReportBuildHealth at once and every 5 s until it is stopped.
//
// It lives on the HTTP client's loop, so no callback, solve or disk of the user's can delay it. A
// report that fails is not fatal: the next one follows at its time. A report still under way when
// the next is due is left alone (its own deadline ends it), so there is never more than one.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <optional>

#include "base/clock.h"
#include "base/log.h"
#include "base/loop.h"
#include "base/status.h"

namespace depot::machine {

class Heartbeat {
 public:
  static constexpr std::chrono::milliseconds kPeriod{5000};

  // When the API wants the build cancelled, if it does.
  using CancelsAt = std::optional<std::chrono::system_clock::time_point>;
  using Done = std::function<void(base::Result<CancelsAt>)>;
  // Sends one report; calls `done` on the loop, once. Any report not answered when the Heartbeat is
  // stopped is ignored.
  using Send = std::function<void(Done done)>;

  // `on_cancelled` is called on the loop, once, when cancels_at has passed. `loop` outlives this.
  static std::shared_ptr<Heartbeat> start(base::Loop& loop, Send send,
                                          std::function<void()> on_cancelled, base::LogSink log,
                                          const base::Clock& clock = base::Clock::real());
  virtual ~Heartbeat() = default;
  // No report starts after this and no callback is made. Any thread; does not wait.
  virtual void stop() = 0;
};

}  // namespace depot::machine

// Mirrors a build's status to the API, whose page shows it: ReportStatusStream, about once a
// second.
//
// Never in the way of the build: add() only queues, requests leave on the HTTP client's loop, one
// at a time, and what piles up beyond kMostQueued is dropped. A server that has no such method, or
// does not want ours, is not asked again. A batch that failed for a passing reason goes again with
// the next one.
#pragma once

#include <chrono>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "base/log.h"
#include "base/loop.h"
#include "base/status.h"

namespace depot::machine {

class StatusReport {
 public:
  static constexpr std::chrono::milliseconds kPeriod{1000};
  static constexpr size_t kMostQueued = 16 << 20;  // bytes
  static constexpr size_t kMostInBatch = 1 << 20;  // bytes; servers take 4 MiB a message

  // Serialized moby.buildkit.v1.StatusResponse messages, in order.
  using Batch = std::vector<std::string>;
  // Loop thread; `done` on the loop's thread, once.
  using Send = std::function<void(const Batch& batch, std::function<void(base::Status)> done)>;

  static std::shared_ptr<StatusReport> create(base::Loop& loop, Send send, base::LogSink log);
  virtual ~StatusReport() = default;

  // Any thread.
  virtual void add(const std::string& status_response) = 0;
  // Waits until all that was added is with the server, but not for long: what it does not take in
  // time is lost. Not on the loop.
  virtual void flush(std::chrono::milliseconds patience) = 0;
};

}  // namespace depot::machine

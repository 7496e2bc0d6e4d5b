// One question to a builder: a unary or server-streaming call whose answers come to the thread that
// asks.
//
// A slow receiver holds the stream back (gRPC's flow control), so what waits here is bounded by
// kMostWaiting and one message, whatever the builder sends.
#pragma once

#include <chrono>
#include <functional>
#include <string>
#include <string_view>

#include "base/cancel.h"
#include "base/status.h"
#include "buildkit/channel.h"
#include "buildkit/control.h"
#include "buildkit/version.h"

namespace depot::builder {

inline constexpr size_t kMostWaiting = 4 << 20;  // bytes of messages that were not taken yet

// Every question has a deadline.
struct Ask {
  base::Cancel cancel = base::Cancel::never();
  std::chrono::milliseconds timeout{std::chrono::minutes(10)};
};

// A message as it came. What is not ok ends the call, and is what ask() returns.
using OnMessage = std::function<base::Status(const std::string& message)>;

// Blocks until the call has ended; not on the loop thread. The channel outlives it.
base::Status ask(buildkit::Channel& channel, std::string_view method, std::string request,
                 const Ask& how, const OnMessage& on_message);

// The same with exactly one answer.
base::Result<std::string> ask_once(buildkit::Channel& channel, std::string_view method,
                                   std::string request, const Ask& how);

// What a builder does not have: `feature` came with version `since`. Other statuses as they are.
base::Status explain_missing(const base::Status& status, const std::string& feature,
                             const buildkit::Version& since);

}  // namespace depot::builder

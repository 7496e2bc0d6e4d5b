// Log lines go to a sink that the caller gave, or nowhere: the library never prints.
#pragma once

#include <cstdint>
#include <functional>
#include <string_view>

namespace depot::base {

// Frozen: DEPOT_LOG_* of the C API.
enum class LogLevel : int32_t { kDebug = 1, kInfo = 2, kWarning = 3, kError = 4 };

// May be called from any thread, also at the same time from several; must not block for long. An
// empty function drops the lines. Lines never hold a secret (base/secret.h sees to it by type).
using LogSink = std::function<void(LogLevel level, std::string_view line)>;

inline void log(const LogSink& sink, LogLevel level, std::string_view line) {
  if (sink) sink(level, line);
}

}  // namespace depot::base

// One question to the daemon on its Unix socket: an HTTP/1.1 request, its answer whole.
#pragma once

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>

#include "base/cancel.h"
#include "base/status.h"

namespace depot::localbuilder {

struct Ask {
  std::string_view method, target, body;
  size_t max_answer;  // bytes; a longer one is an error
};

struct Answer {
  int status = 0;
  std::string body;
};

// kNotFound: nobody listens there. kPermissionDenied: another user does. kUnavailable: it went away
// while we talked. Blocks.
base::Result<Answer> exchange(const std::string& socket_path, const Ask& ask,
                              const base::Cancel& cancel,
                              std::chrono::steady_clock::time_point deadline);

}  // namespace depot::localbuilder

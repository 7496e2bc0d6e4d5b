// What a step may use, as `docker build` spells it: sizes, ulimits, resources.
#pragma once

#include <cstdint>
#include <string>
#include <utility>

#include "base/status.h"

namespace depot::solve {

// "64m", "1.5GiB", "1024": bytes. Units are powers of 1024, in any case, with or without "b".
base::Result<int64_t> parse_size(const std::string& text);

// "nofile=1024:2048" -> {"nofile", "1024:2048"}; one number is both limits, -1 is none.
base::Result<std::pair<std::string, std::string>> parse_ulimit(const std::string& spec);

// "memory=2g" -> {"memory", "2147483648"}: the frontend's attribute and its value, which is empty
// for a limit of 0.
base::Result<std::pair<std::string, std::string>> parse_resource(const std::string& spec);

}  // namespace depot::solve

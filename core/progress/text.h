// How the displays write things: sizes, times, and text that comes from a builder.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>

#include "progress/trace.h"

namespace depot::progress {

// "123B", "1.23kB": decimal units, two digits.
std::string size_text(int64_t bytes);
// " 1.00kB / 2.00MB", " 1.00kB", or nothing.
std::string amount_text(const StepStatus& status);
// "1.2" with that many digits after the point.
std::string decimal(double value, int digits);
// What stands before a line of a step's log: the seconds since it began, finer while it is young.
std::string log_prefix(const Step& step, Time time);

// "linux/arm64" of "[linux/arm64 stage 1/2] RUN x", and of "[linux/amd64->arm64 stage 1/2]" what
// it runs on; empty when the name has none.
std::string platform_in_name(std::string_view name);

}  // namespace depot::progress

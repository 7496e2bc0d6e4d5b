// Time as a parameter: tests turn the hands themselves.
#pragma once

#include <chrono>
#include <string>

namespace depot::base {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual std::chrono::steady_clock::time_point now() const = 0;
  virtual std::chrono::system_clock::time_point wall() const = 0;

  static const Clock& real();
};

// A limit as it was given, though a little of it was used before: "2 s" of 1999 ms, "2500 ms".
std::string limit_text(std::chrono::milliseconds limit);

}  // namespace depot::base

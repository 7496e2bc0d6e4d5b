// Time as a parameter: tests turn the hands themselves.
#pragma once

#include <chrono>

namespace depot::base {

class Clock {
 public:
  virtual ~Clock() = default;
  virtual std::chrono::steady_clock::time_point now() const = 0;
  virtual std::chrono::system_clock::time_point wall() const = 0;

  static const Clock& real();
};

}  // namespace depot::base

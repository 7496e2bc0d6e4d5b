#include "base/clock.h"

namespace depot::base {
namespace {

class RealClock final : public Clock {
 public:
  std::chrono::steady_clock::time_point now() const override {
    return std::chrono::steady_clock::now();
  }
  std::chrono::system_clock::time_point wall() const override {
    return std::chrono::system_clock::now();
  }
};

}  // namespace

const Clock& Clock::real() {
  static const RealClock clock;
  return clock;
}

std::string limit_text(std::chrono::milliseconds limit) {
  int64_t ms = limit.count();
  if (ms >= 100) ms = (ms + 9) / 10 * 10;
  return ms % 1000 == 0 ? std::to_string(ms / 1000) + " s" : std::to_string(ms) + " ms";
}

}  // namespace depot::base

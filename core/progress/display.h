// A display: batches in, text out, by a clock that it is given. progress.h drives one in real time,
// a test by a recorded one.
#pragma once

#include <chrono>
#include <memory>
#include <optional>
#include <string>

namespace moby::buildkit::v1 {
class StatusResponse;
}

namespace depot::progress {

// Nanoseconds of a clock that only goes forward.
using Moment = std::chrono::nanoseconds;

enum class Ending { kSuccess, kFailed, kCanceled };

class Display {
 public:
  virtual ~Display() = default;
  // Takes a batch in, without writing.
  virtual void update(const ::moby::buildkit::v1::StatusResponse& batch, Moment now) = 0;
  // Appends to `out` what there is to say.
  virtual void print(Moment now, std::string& out) = 0;
  // Whether print() would have something to say later, without any further batch.
  virtual bool waiting() const = 0;
  // The last print: all that was held back, and how it ended.
  virtual void finish(Moment now, Ending ending, std::string& out) = 0;
};

// When to print, which is as BuildKit's own displays do: at once after a batch, but at most ten
// times a second for that, and every 150 ms without one.
class Pace {
 public:
  static constexpr Moment kInterval = std::chrono::milliseconds(100);
  static constexpr Moment kTick = std::chrono::milliseconds(150);

  // One interval for both, which is what TTY_DISPLAY_RATE sets.
  explicit Pace(std::optional<Moment> rate = std::nullopt)
      : interval_(rate.value_or(kInterval)), tick_(rate.value_or(kTick)) {}

  // The clock begins.
  void begin(Moment now) { next_ = now + tick_; }
  // A batch came; true: print now.
  bool batch(Moment now) {
    next_ = now + tick_;
    if (now < allowed_) return false;
    allowed_ = now + interval_;
    return true;
  }
  // When to print without a batch; ticked() then.
  Moment next() const { return next_; }
  void ticked(Moment now) {
    while (next_ <= now) next_ += tick_;
  }

 private:
  Moment interval_, tick_;
  Moment allowed_ = Moment::min();
  Moment next_ = Moment::max();
};

}  // namespace depot::progress

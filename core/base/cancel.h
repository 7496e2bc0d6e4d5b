// Cancel: a stop switch that any thread may trigger, at any time, as often as it likes.
//
// Every wait in the library takes one and ends within a loop turn of its being triggered. Copies
// share the switch. A child (Cancel::child) is triggered with its parent, or alone: a deadline or
// a failing neighbour ends one operation without touching the caller's own switch.
#pragma once

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>

namespace depot::base {

class Cancel {
 public:
  Cancel();
  // A switch that nothing ever triggers: "cannot be cancelled" without a null check.
  static const Cancel& never();

  Cancel child() const;

  void trigger() const;
  bool triggered() const;

  // Keeps a callback registered; the destructor unregisters it and, when the callback is running on
  // another thread just then, waits for its end.
  class Registration {
   public:
    Registration() = default;
    Registration(Registration&&) noexcept;
    Registration& operator=(Registration&&) noexcept;
    ~Registration();

   private:
    friend class Cancel;
    struct State;
    std::shared_ptr<State> state_;
  };

  // Calls `fn` once, on the triggering thread (at once, on this one, if already triggered). `fn`
  // must be quick and must not block: post to a loop, wake a condition.
  [[nodiscard]] Registration on_trigger(std::function<void()> fn) const;

  // True if triggered before `duration` is over.
  bool wait_for(std::chrono::milliseconds duration) const;

 private:
  struct Impl;
  explicit Cancel(std::shared_ptr<Impl> impl);
  std::shared_ptr<Impl> impl_;
};

}  // namespace depot::base

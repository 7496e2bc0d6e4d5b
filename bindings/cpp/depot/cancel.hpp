// Stop switch: hand it to any number of calls, trigger it from any thread.
#ifndef DEPOT_CANCEL_HPP
#define DEPOT_CANCEL_HPP

#include <memory>
#include <new>

#include "depot/cancel.h"

namespace depot {

/// Copies are the same switch, so that a thread can keep one of its own.
class Cancel {
 public:
  Cancel() : raw_(depot_cancel_new(), depot_cancel_free) {
    if (!raw_) throw std::bad_alloc();
  }
  /// Stops everything that was given this switch, each with DEPOT_CANCELLED. Any thread, any time,
  /// as often as one likes; not from a signal handler.
  void trigger() const noexcept { depot_cancel_trigger(raw_.get()); }
  bool triggered() const noexcept { return depot_cancel_triggered(raw_.get()) != 0; }

  depot_cancel* get() const noexcept { return raw_.get(); }

 private:
  std::shared_ptr<depot_cancel> raw_;
};

}  // namespace depot

#endif

#include <new>

#include "handles.h"

namespace depot::capi {

base::Cancel cancel_of(const depot_cancel* cancel) {
  return cancel == nullptr ? base::Cancel::never() : cancel->cancel;
}

}  // namespace depot::capi

depot_cancel* depot_cancel_new(void) {
  try {
    return new depot_cancel;
  } catch (...) {
    return nullptr;
  }
}

void depot_cancel_trigger(depot_cancel* cancel) {
  if (cancel != nullptr) cancel->cancel.trigger();
}

int32_t depot_cancel_triggered(const depot_cancel* cancel) {
  return cancel != nullptr && cancel->cancel.triggered() ? 1 : 0;
}

void depot_cancel_free(depot_cancel* cancel) {
  delete cancel;
}

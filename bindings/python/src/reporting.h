// A call that tells a status: to a function of Python's, or to a display.
#pragma once

#include <memory>

#include "progress.h"

namespace depot::python {

// What the library is to hear of what a callback returned: None or 0 to go on. A bool goes on as
// well: it tells whether something was done, to the caller of a function that was not written for
// this.
int32_t answer_of(const py::object& answer, const char* name);

class Reporting : public Operation {
 public:
  Reporting(py::object on_status, int64_t timeout_ms)
      : on_status_(std::move(on_status)), timeout_ms_(timeout_ms) {
    wants_status_ = !on_status_.is_none();
    if (py::isinstance<Progress>(on_status_))
      progress_ = on_status_.cast<std::shared_ptr<Progress>>();
  }
  ~Reporting() override;
  Reporting(const Reporting&) = delete;
  Reporting& operator=(const Reporting&) = delete;
  void drop_python() override {
    Operation::drop_python();
    on_status_ = py::object();
  }

 protected:
  depot_solve_options options(depot_cancel* cancel) {
    depot_solve_options out = DEPOT_SOLVE_OPTIONS_INIT;
    out.cancel = cancel;
    out.timeout_ms = timeout_ms_;
    out.on_status = wants_status_ ? on_status : nullptr;
    out.user_data = this;
    return out;
  }

 private:
  static int32_t on_status(const depot_status* status, void* user_data);

  py::object on_status_;
  std::shared_ptr<Progress> progress_;
  bool wants_status_ = false;
  int64_t timeout_ms_;
};

}  // namespace depot::python

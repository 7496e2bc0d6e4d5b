#include "reporting.h"

#include "status.h"

namespace depot::python {

int32_t answer_of(const py::object& answer, const char* name) {
  if (answer.is_none() || PyBool_Check(answer.ptr())) return 0;
  if (!PyLong_Check(answer.ptr())) {
    throw py::type_error(std::string(name) + " must return None or an int, not " +
                         std::string(Py_TYPE(answer.ptr())->tp_name));
  }
  int overflow = 0;
  long long code = PyLong_AsLongLongAndOverflow(answer.ptr(), &overflow);
  bool fits = overflow == 0 && code >= INT32_MIN && code <= INT32_MAX;
  return fits ? static_cast<int32_t>(code) : 1;
}

// Ends on any thread; a display has objects of Python's.
Reporting::~Reporting() {
  if (progress_ == nullptr) return;
  if (finalizing()) {
    new std::shared_ptr<Progress>(std::move(progress_));  // never freed: Python is gone
  } else {
    WithGil gil;
    progress_.reset();
  }
}

int32_t Reporting::on_status(const depot_status* status, void* user_data) {
  auto* self = static_cast<Reporting*>(user_data);
  if (self->progress_ != nullptr) {  // one of ours: no Python on the way
    if (self->progress_->update(status) == DEPOT_OK) return 0;
    return self->callbacks.call([&]() -> int32_t { self->progress_->raise_failure(); });
  }
  return self->callbacks.call([&]() -> int32_t {
    py::object function = self->on_status_;  // ours, whatever it does to the call
    return answer_of(function(make_status(status)), "on_status");
  });
}

}  // namespace depot::python

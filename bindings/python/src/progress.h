// A display and the folded model, as Python holds them.
#pragma once

#include <memory>
#include <string>

#include "call.h"

namespace depot::python {

inline void free_progress(depot_progress* progress) {
  if (!finalizing()) depot_progress_free(progress);  // it waits for a thread that may want the GIL
}

class Progress {
 public:
  // `write` takes bytes; None: to the descriptor.
  Progress(const std::string& kind, py::object write, int32_t fd, py::dict options);
  std::string kind() const { return depot_progress_kind(handle_.get()); }
  void update_json(const std::string& line);
  void finish(int32_t outcome);

  // From the library's own thread, without the GIL. Not 0: it failed; then raise_failure().
  int32_t update(const depot_status* status);
  [[noreturn]] void raise_failure();

 private:
  static int32_t write(const char* text, size_t size, void* self);
  template <class F>
  void run(F call);

  Callbacks callbacks_;
  py::object write_;
  depot_error* failure_ = nullptr;  // of update(), until it is raised
  Handle<depot_progress, free_progress> handle_;
};

void define_progress(py::module_& module);

}  // namespace depot::python

#include "process.h"

#include <atomic>

#include "error.h"

namespace depot::python {

namespace {
std::atomic<pid_t> used_by{0};
}

bool finalizing() {
#if PY_VERSION_HEX >= 0x030d0000
  return Py_IsFinalizing() != 0;
#else
  return _Py_IsFinalizing() != 0;
#endif
}

void check_process(pid_t born) {
  pid_t owner = born != 0 ? born : used_by.load();
  if (owner == 0 || owner == ::getpid()) return;
  raise(DEPOT_FAILED_PRECONDITION, DEPOT_HOP_USAGE,
        "libdepot was used in process " + std::to_string(owner) + " before it forked this one",
        "use it first after the fork, or start the process anew: "
        "multiprocessing.set_start_method('spawn'), subprocess");
}

void mark_used() {
  pid_t nobody = 0;
  used_by.compare_exchange_strong(nobody, ::getpid());
}

const char* c_string(const std::string& text) {
  if (text.find('\0') != std::string::npos) throw py::value_error("embedded null character");
  return text.c_str();
}

py::str text(const char* utf8) {
  PyObject* made = PyUnicode_DecodeUTF8(utf8, static_cast<Py_ssize_t>(strlen(utf8)), "replace");
  if (made == nullptr) throw py::error_already_set();
  return py::reinterpret_steal<py::str>(made);
}

}  // namespace depot::python

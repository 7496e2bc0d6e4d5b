// The Python process around the library: finalization, fork, and when the GIL may be taken.
#pragma once

#include <cxxabi.h>
#include <pybind11/pybind11.h>
#include <sys/types.h>
#include <unistd.h>

#include <string>
#include <utility>

#include "depot/depot.h"

namespace depot::python {

namespace py = pybind11;

// True from the moment on at which a thread that asks for the GIL is never heard of again.
bool finalizing();

// fork() copies memory but no threads and half-held locks: after it, nothing of the library may be
// touched. Called first by everything that enters the library; raises FailedPreconditionError in a
// process that was forked after `born`'s handle was made, or (born == 0) after the library was
// used.
void check_process(pid_t born = 0);
// From here on a forked child is refused.
void mark_used();

// C strings end at the first NUL; what follows must not vanish silently.
const char* c_string(const std::string& text);
// Text of the library's as a Python string; it should be UTF-8, but logs and names are not ours.
py::str text(const char* utf8);

// True on a thread of this module's own making while it does not hold the GIL. Such a thread may
// outlive Python, and once Python is going PyGILState_Check() says yes to everybody.
inline thread_local bool outside_python = false;

// Drops the GIL if this thread holds it, and takes it again at the end.
class WithoutGil {
 public:
  WithoutGil()
      : state_(!outside_python && !finalizing() && PyGILState_Check() ? PyEval_SaveThread()
                                                                      : nullptr) {}
  WithoutGil(const WithoutGil&) = delete;
  WithoutGil& operator=(const WithoutGil&) = delete;
  ~WithoutGil() {
    if (state_ != nullptr) take_gil([this] { PyEval_RestoreThread(state_); });
  }

 private:
  // Once Python is going, taking the GIL ends a thread by unwinding its stack, which C++ frames
  // that may not throw, ours and the library's, answer with an abort. Such a thread stays here
  // instead until the process is gone, as Python itself has it since 3.14.
  template <class F>
  static void take_gil(F take) noexcept;
  friend class WithGil;

  PyThreadState* state_;
};

// Takes the GIL, on any thread.
class WithGil {
 public:
  WithGil() {
    WithoutGil::take_gil([this] { state_ = PyGILState_Ensure(); });
    outside_ = std::exchange(outside_python, false);
  }
  WithGil(const WithGil&) = delete;
  WithGil& operator=(const WithGil&) = delete;
  ~WithGil() {
    outside_python = outside_;
    PyGILState_Release(state_);
  }

 private:
  PyGILState_STATE state_;
  bool outside_;
};

template <class F>
void WithoutGil::take_gil(F take) noexcept {
#ifdef __GLIBCXX__
  try {
    take();
  } catch (abi::__forced_unwind&) {
    for (;;) ::pause();
  }
#else
  take();
#endif
}

// A handle of the C API. Freed without the GIL (freeing may wait for a callback that wants it), and
// leaked in a forked child, where its locks and threads are not.
template <class T, void (*Free)(T*)>
class Handle {
 public:
  Handle() = default;
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;
  ~Handle() {
    if (handle_ == nullptr || born_ != ::getpid()) return;
    WithoutGil nogil;
    Free(handle_);
  }
  T* get() const { return handle_; }
  T** out() { return &handle_; }
  pid_t born() const { return born_; }

 private:
  T* handle_ = nullptr;
  pid_t born_ = ::getpid();
};

// Freeing a client waits for its log function, which a Python that is going never lets end.
inline void free_client(depot_client* client) {
  if (!finalizing()) depot_client_free(client);
}

using ClientHandle = Handle<depot_client, free_client>;
using BuildHandle = Handle<depot_build, depot_build_free>;
using MachineHandle = Handle<depot_machine, depot_machine_free>;
using ResultHandle = Handle<depot_result, depot_result_free>;
using CancelHandle = Handle<depot_cancel, depot_cancel_free>;

}  // namespace depot::python

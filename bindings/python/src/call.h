// One blocking call of the library, run so that Python stays alive around it.
//
//   wait()            drops the GIL for as long as it takes. On Python's main thread, where signal
//                     handlers must go on running, the call itself runs on a thread of its own and
//                     the main thread sleeps until that ends or a signal arrives.
//   start(), fileno() for asyncio: the call runs on a thread of its own, and the descriptor becomes
//                     readable when it has ended; then result().
//
// A handler that raises (Ctrl-C) cancels the call, which ends within a moment, and the exception is
// raised then; a second one is raised at once, and the call is left to end by itself.
#pragma once

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <vector>

#include "process.h"

namespace depot::python {

// The way from the library's callbacks into Python. An exception raised there is kept, to be raised
// again by the call that the callback belongs to.
class Callbacks {
 public:
  // Runs `body` with the GIL and returns what it returns; 1 when it raises, or after close().
  template <class F>
  int32_t call(F body) {
    if (closed_ || finalizing()) return 1;
    WithGil gil;
    if (closed_) return 1;
    try {
      return body();
    } catch (py::error_already_set& error) {
      if (!failure_ && !closed_) failure_ = keep(error);
    } catch (const py::builtin_exception& error) {  // py::type_error and its like
      error.set_error();
      py::error_already_set raised;
      if (!failure_ && !closed_) failure_ = keep(raised);
    } catch (const std::exception& error) {
      py::set_error(PyExc_RuntimeError, error.what());
      py::error_already_set raised;
      if (!failure_ && !closed_) failure_ = keep(raised);
    }
    return 1;
  }
  // With the GIL: nothing of Python's is touched after this.
  void close() {
    closed_ = true;
    failure_ = py::object();
  }
  // With the GIL: raises what a callback raised, with its traceback.
  void rethrow();

  static py::object keep(py::error_already_set& error);
  [[noreturn]] static void raise_kept(const py::object& exception);

 private:
  std::atomic<bool> closed_{false};
  py::object failure_;  // guarded by the GIL
};

// What a call does. run() has no GIL; everything else has it.
class Operation {
 public:
  virtual ~Operation() = default;
  virtual depot_code run(depot_cancel* cancel, depot_error** error) = 0;
  virtual py::object take() { return py::none(); }
  virtual void drop_python() { callbacks.close(); }
  // A cancel was triggered: wakes run() where the library cannot. Any thread, no GIL needed.
  virtual void wake() {}
  virtual bool cancellable() const { return true; }

  Callbacks callbacks;
};

class CallState {
 public:
  explicit CallState(std::unique_ptr<Operation> operation);
  CallState(const CallState&) = delete;
  CallState& operator=(const CallState&) = delete;
  ~CallState();

  void run();  // no GIL
  void cancel();
  bool done() const { return done_; }
  int fileno() const { return fd_; }
  pid_t born() const { return cancel_.born(); }
  depot_code code() const { return code_; }
  depot_error* take_error() { return std::exchange(error_, nullptr); }
  Operation& operation() { return *operation_; }

 private:
  std::unique_ptr<Operation> operation_;
  CancelHandle cancel_;
  depot_code code_ = DEPOT_OK;
  depot_error* error_ = nullptr;
  std::atomic<bool> done_{false};
  int fd_;
};

// libdepot.Cancel: one switch for any number of calls.
class Cancel {
 public:
  void trigger();
  bool triggered() const { return triggered_; }
  void add(const std::shared_ptr<CallState>& call);

 private:
  std::mutex mutex_;
  std::atomic<bool> triggered_{false};
  std::vector<std::weak_ptr<CallState>> calls_;
};

class SignalPipe;

class Call {
 public:
  Call(std::unique_ptr<Operation> operation, const std::shared_ptr<Cancel>& cancel);
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;
  ~Call();

  py::object wait();
  void start();
  int fileno() const { return state_->fileno(); }
  bool done() const { return state_->done(); }
  void cancel();
  py::object result();

 private:
  void begin();
  void spawn();
  void wait_minding(SignalPipe& signals);

  std::shared_ptr<CallState> state_;
  bool begun_ = false;
};

// Lets one caller in at a time; waiting for it can be cancelled.
class Exclusive {
 public:
  // False when `cancel` was triggered first (then call wake() after triggering).
  bool enter(const depot_cancel* cancel);
  void leave();
  void wake();

 private:
  std::mutex mutex_;
  std::condition_variable changed_;
  bool busy_ = false;
};

// How many calls are under way.
size_t live_calls();
// For atexit: cancels what is under way and waits for it, for some seconds at most, so that
// machines are given back and no thread of the library's meets a Python that is gone.
void end_live_calls();

}  // namespace depot::python

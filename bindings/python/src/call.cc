#include "call.h"

#include <fcntl.h>
#include <poll.h>
#include <pthread.h>
#include <sys/eventfd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <chrono>
#include <system_error>
#include <thread>

#include "error.h"

namespace depot::python {

namespace {

constexpr auto kExitPatience = std::chrono::seconds(5);

// Never destroyed: calls may outlive static destruction.
struct Live {
  std::mutex mutex;
  std::condition_variable changed;
  std::vector<std::shared_ptr<CallState>> calls;
  pid_t owner = 0;
};

Live& live() {
  static Live* const instance = new Live;
  return *instance;
}

void enter_live(const std::shared_ptr<CallState>& call) {
  std::lock_guard lock(live().mutex);
  live().calls.push_back(call);
  live().owner = ::getpid();
}

void leave_live(const CallState* call) {
  std::shared_ptr<CallState> last;  // its destructor must not run under the lock
  std::lock_guard lock(live().mutex);
  auto& calls = live().calls;
  auto at = std::find_if(calls.begin(), calls.end(), [&](auto& c) { return c.get() == call; });
  if (at == calls.end()) return;
  last = std::move(*at);
  calls.erase(at);
  live().changed.notify_all();
}

}  // namespace

// Python writes a byte to this descriptor when a signal arrives, from whichever thread got it, so
// that no signal slips in between a look at the handlers and going to sleep. A descriptor that was
// set before (asyncio's) gets its bytes all the same.
class SignalPipe {
 public:
  // Python handles signals on its main thread; elsewhere there is nothing to mind, and no pipe.
  static std::unique_ptr<SignalPipe> if_main_thread() {
    auto pipe = std::unique_ptr<SignalPipe>(new SignalPipe);
    try {
      pipe->before_ = set(pipe->ends_[1]);
      pipe->set_ = true;
      return pipe;
    } catch (py::error_already_set& error) {
      if (!error.matches(PyExc_ValueError)) throw;
      return nullptr;  // what set_wakeup_fd says on another thread
    }
  }
  SignalPipe(const SignalPipe&) = delete;
  SignalPipe& operator=(const SignalPipe&) = delete;
  ~SignalPipe() {
    if (set_) restore();
    drain();
    ::close(ends_[0]);
    ::close(ends_[1]);
  }
  int fd() const { return ends_[0]; }
  void drain() {
    std::array<char, 64> bytes;
    for (;;) {
      ssize_t n = ::read(ends_[0], bytes.data(), bytes.size());
      if (n <= 0) return;
      if (before_ >= 0 && ::write(before_, bytes.data(), static_cast<size_t>(n)) < 0) continue;
    }
  }

 private:
  SignalPipe() {
    if (::pipe2(ends_.data(), O_CLOEXEC | O_NONBLOCK) != 0)
      throw std::system_error(errno, std::generic_category(), "pipe");
  }
  void restore() {
    try {
      int now = set(before_);
      if (now != ends_[1]) set(now);  // a handler set another one, which stays
    } catch (py::error_already_set& error) {
      error.discard_as_unraisable("libdepot: signal.set_wakeup_fd");
    }
  }
  static int set(int fd) {
    // Not of "signal", which wraps its numbers in enums: that import takes longer than all of ours.
    auto set_wakeup_fd = py::module_::import("_signal").attr("set_wakeup_fd");
    return set_wakeup_fd(fd, py::arg("warn_on_full_buffer") = false).cast<int>();
  }

  std::array<int, 2> ends_;
  int before_ = -1;
  bool set_ = false;
};

py::object Callbacks::keep(py::error_already_set& error) {
  py::object value = error.value();
  if (error.trace()) PyException_SetTraceback(value.ptr(), error.trace().ptr());
  return value;
}

void Callbacks::raise_kept(const py::object& exception) {
  PyErr_SetObject(reinterpret_cast<PyObject*>(Py_TYPE(exception.ptr())), exception.ptr());
  throw py::error_already_set();
}

void Callbacks::rethrow() {
  if (failure_) raise_kept(std::exchange(failure_, py::object()));
}

CallState::CallState(std::unique_ptr<Operation> operation) : operation_(std::move(operation)) {
  *cancel_.out() = depot_cancel_new();
  fd_ = ::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
  if (cancel_.get() == nullptr || fd_ < 0) {
    if (fd_ >= 0) ::close(fd_);
    throw std::system_error(errno, std::generic_category(), "eventfd");
  }
}

CallState::~CallState() {
  ::close(fd_);
  if (born() == ::getpid()) depot_error_free(error_);
}

void CallState::run() {
  code_ = operation_->run(cancel_.get(), &error_);
  leave_live(this);  // before anybody hears that it has ended
  done_ = true;
  uint64_t one = 1;
  while (::write(fd_, &one, sizeof one) < 0 && errno == EINTR) {
  }
}

void CallState::cancel() {
  depot_cancel_trigger(cancel_.get());
  operation_->wake();
}

void Cancel::trigger() {
  check_process();
  WithoutGil nogil;
  std::vector<std::shared_ptr<CallState>> calls;
  {
    std::lock_guard lock(mutex_);
    triggered_ = true;
    for (auto& weak : calls_)
      if (auto call = weak.lock()) calls.push_back(std::move(call));
    calls_.clear();
  }
  for (auto& call : calls) call->cancel();
}

void Cancel::add(const std::shared_ptr<CallState>& call) {
  WithoutGil nogil;
  {
    std::lock_guard lock(mutex_);
    if (!triggered_) {
      std::erase_if(calls_, [](auto& weak) { return weak.expired(); });
      calls_.push_back(call);
      return;
    }
  }
  call->cancel();
}

Call::Call(std::unique_ptr<Operation> operation, const std::shared_ptr<Cancel>& cancel) {
  check_process();
  state_ = std::make_shared<CallState>(std::move(operation));
  if (cancel) cancel->add(state_);
}

// Left behind while it is under way: it ends by itself, and knows nothing of Python any more.
Call::~Call() {
  if (!state_) return;
  state_->operation().drop_python();
  if (begun_ && !state_->done() && state_->born() == ::getpid()) {
    WithoutGil nogil;
    state_->cancel();
  }
}

void Call::begin() {
  check_process(state_->born());
  if (begun_) throw std::runtime_error("the call has begun already");
  begun_ = true;
  mark_used();
  enter_live(state_);
}

void Call::spawn() {
  try {
    std::thread([state = state_] {
      outside_python = true;  // the last owner of `state` may be this thread, after Python's end
      ::pthread_setname_np(::pthread_self(), "depot-call");
      state->run();
    }).detach();
  } catch (...) {
    leave_live(state_.get());
    throw;
  }
}

void Call::start() {
  begin();
  spawn();
}

py::object Call::wait() {
  auto signals = SignalPipe::if_main_thread();
  begin();
  if (signals) {
    spawn();
    wait_minding(*signals);
    signals.reset();
  } else {
    WithoutGil nogil;
    state_->run();
  }
  return result();
}

void Call::wait_minding(SignalPipe& signals) {
  py::object raised;
  while (!state_->done()) {
    {
      WithoutGil nogil;
      pollfd wanted[] = {{state_->fileno(), POLLIN, 0}, {signals.fd(), POLLIN, 0}};
      ::poll(wanted, 2, -1);  // an EINTR is as good as a byte
    }
    signals.drain();
    if (PyErr_CheckSignals() == 0) {
      check_process(state_->born());  // a handler may have forked; there the call never ends
      continue;
    }
    py::error_already_set error;
    check_process(state_->born());
    if (raised || !state_->operation().cancellable()) {
      if (!raised) raised = Callbacks::keep(error);
      state_->operation().drop_python();
      break;
    }
    raised = Callbacks::keep(error);
    WithoutGil nogil;
    state_->cancel();
  }
  if (raised) Callbacks::raise_kept(raised);
}

void Call::cancel() {
  check_process(state_->born());
  WithoutGil nogil;
  state_->cancel();
}

py::object Call::result() {
  if (!state_->done()) throw std::runtime_error("the call is still under way");
  state_->operation().callbacks.rethrow();
  if (state_->code() != DEPOT_OK) {
    if (depot_error* error = state_->take_error()) raise(error);
    raise(state_->code(), DEPOT_HOP_USAGE, "cancelled before it began", "");
  }
  return state_->operation().take();
}

bool Exclusive::enter(const depot_cancel* cancel) {
  std::unique_lock lock(mutex_);
  changed_.wait(
      lock, [&] { return !busy_ || (cancel != nullptr && depot_cancel_triggered(cancel) != 0); });
  if (busy_) return false;
  busy_ = true;
  return true;
}

void Exclusive::leave() {
  std::lock_guard lock(mutex_);
  busy_ = false;
  changed_.notify_all();
}

void Exclusive::wake() {
  std::lock_guard lock(mutex_);
  changed_.notify_all();
}

size_t live_calls() {
  WithoutGil nogil;
  std::lock_guard lock(live().mutex);
  return live().calls.size();
}

void end_live_calls() {
  if (live().owner != ::getpid()) return;  // a forked child: the calls are its parent's
  WithoutGil nogil;
  std::vector<std::shared_ptr<CallState>> calls;
  std::unique_lock lock(live().mutex);
  calls = live().calls;
  lock.unlock();
  for (auto& call : calls) call->cancel();
  lock.lock();
  live().changed.wait_for(lock, kExitPatience, [] { return live().calls.empty(); });
}

}  // namespace depot::python

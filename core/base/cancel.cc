#include "base/cancel.h"

#include <algorithm>
#include <condition_variable>
#include <mutex>
#include <thread>
#include <utility>
#include <vector>

namespace depot::base {

struct Cancel::Registration::State {
  std::function<void()> fn;
  std::weak_ptr<Cancel::Impl> owner;
  std::mutex mutex;
  std::condition_variable idle;
  bool dead = false;
  bool running = false;
  std::thread::id runner;

  void run() {
    {
      std::lock_guard lock(mutex);
      if (dead) return;
      running = true;
      runner = std::this_thread::get_id();
    }
    fn();
    {
      std::lock_guard lock(mutex);
      running = false;
      dead = true;
    }
    idle.notify_all();
  }

  void unregister() {
    std::unique_lock lock(mutex);
    dead = true;
    // A callback that destroys its own registration must not wait for itself.
    if (running && runner != std::this_thread::get_id()) idle.wait(lock, [&] { return !running; });
  }
};

struct Cancel::Impl {
  std::mutex mutex;
  std::condition_variable changed;
  bool triggered = false;
  std::vector<std::shared_ptr<Registration::State>> callbacks;
  Registration parent;

  void trigger() {
    std::vector<std::shared_ptr<Registration::State>> run;
    {
      std::lock_guard lock(mutex);
      if (triggered) return;
      triggered = true;
      run.swap(callbacks);
    }
    changed.notify_all();
    for (auto& callback : run) callback->run();
  }
};

Cancel::Cancel() : impl_(std::make_shared<Impl>()) {}
Cancel::Cancel(std::shared_ptr<Impl> impl) : impl_(std::move(impl)) {}

const Cancel& Cancel::never() {
  static const Cancel* const kNever = new Cancel;
  return *kNever;
}

Cancel Cancel::child() const {
  Cancel child;
  child.impl_->parent = on_trigger([weak = std::weak_ptr<Impl>(child.impl_)] {
    if (auto impl = weak.lock()) impl->trigger();
  });
  return child;
}

void Cancel::trigger() const {
  auto keep = impl_;
  keep->trigger();
}

bool Cancel::triggered() const {
  std::lock_guard lock(impl_->mutex);
  return impl_->triggered;
}

Cancel::Registration Cancel::on_trigger(std::function<void()> fn) const {
  auto state = std::make_shared<Registration::State>();
  state->fn = std::move(fn);
  state->owner = impl_;
  bool now = false;
  {
    std::lock_guard lock(impl_->mutex);
    now = impl_->triggered;
    if (!now) impl_->callbacks.push_back(state);
  }
  if (now) state->run();
  Registration registration;
  registration.state_ = std::move(state);
  return registration;
}

bool Cancel::wait_for(std::chrono::milliseconds duration) const {
  std::unique_lock lock(impl_->mutex);
  return impl_->changed.wait_for(lock, duration, [&] { return impl_->triggered; });
}

Cancel::Registration::Registration(Registration&&) noexcept = default;

Cancel::Registration& Cancel::Registration::operator=(Registration&& other) noexcept {
  if (this != &other) {
    Registration old = std::move(*this);
    state_ = std::move(other.state_);
  }
  return *this;
}

Cancel::Registration::~Registration() {
  if (!state_) return;
  if (auto owner = state_->owner.lock()) {
    std::lock_guard lock(owner->mutex);
    std::erase(owner->callbacks, state_);
  }
  state_->unregister();
}

}  // namespace depot::base

#include "load/loader.h"

#include <mutex>
#include <system_error>

#include "base/process.h"
#include "base/signals.h"
#include "load/feed.h"
#include "load/import.h"

namespace depot::load {

using base::Code;
using base::Hop;
using base::Status;

struct Loader::State {
  Target target;
  Options options;
  Feed feed;

  mutable std::mutex mutex;
  std::function<void(Status)> ready, done;
  Status failure;
  bool opened = false, over = false;

  void run() {
    if (options.on_begin) options.on_begin();
    Status status = target.engine.empty() ? import_into_program(target, options, feed)
                                          : import_into_engine(target, options, feed);
    std::function<void(Status)> tell;
    {
      std::lock_guard lock(mutex);
      over = true;
      // What was given up from the other side is no failure of the store's.
      if (!status.ok() && !feed.stopped())
        failure = status.with_prefix("cannot load the image into " + target.name);
      status = failure.ok() ? status : failure;
      tell = done ? std::move(done) : ready;
    }
    if (options.on_end) options.on_end(status);
    if (!status.ok()) feed.stop();  // what still comes is nobody's
    if (tell) tell(status);
  }
};

Status program_missing(const Target& target) {
  const std::string& program = target.command.front();
  return Status(Code::kNotFound, Hop::kLocal,
                program + ", which loads images into " + target.name + ", is not in PATH")
      .with_hint("install " + program + ", or export to a file: type=docker,dest=FILE");
}

Loader::Loader(Target target, Options options) : state_(std::make_shared<State>()) {
  state_->target = std::move(target);
  state_->options = std::move(options);
}

Loader::~Loader() {
  stop();
}

Status Loader::open(std::function<void(Status)> ready) {
  State& state = *state_;
  std::lock_guard lock(state.mutex);
  if (state.opened)
    return Status(Code::kAlreadyExists, Hop::kSession, "the daemon sent the same export twice");
  if (state.feed.event() < 0)
    return state.failure = Status(Code::kResourceExhausted, Hop::kLocal, "cannot make an eventfd");
  state.opened = true;
  state.ready = ready;
  state.feed.on_room([ready] { ready({}); });
  try {
    base::SignalsBlocked blocked;
    thread_ = std::thread([keep = state_] { keep->run(); });
  } catch (const std::system_error&) {
    return state.failure = Status(Code::kResourceExhausted, Hop::kLocal, "cannot start a thread");
  }
  return {};
}

bool Loader::write(std::span<const uint8_t> data) {
  return state_->feed.write(data);
}

void Loader::finish(std::function<void(Status)> done) {
  Status failure;
  {
    std::lock_guard lock(state_->mutex);
    if (!state_->over) {
      state_->done = std::move(done);
      state_->feed.close();
      return;
    }
    failure = state_->failure;
  }
  done(failure.ok() ? base::cancelled_error() : failure);
}

void Loader::abort() {
  state_->feed.stop();
}

bool Loader::complete() const {
  std::lock_guard lock(state_->mutex);
  return state_->over && state_->failure.ok() && !state_->feed.stopped();
}

void Loader::stop() {
  state_->feed.stop();
  if (thread_.joinable()) thread_.join();
}

Status Loader::failure() const {
  std::lock_guard lock(state_->mutex);
  return state_->failure;
}

}  // namespace depot::load

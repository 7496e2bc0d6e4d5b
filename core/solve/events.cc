#include "solve/events.h"

#include <moby/buildkit/v1/control.pb.h>

#include <chrono>
#include <utility>

#include "base/id.h"

namespace depot::solve {

using base::Code;
using base::Hop;
using base::Status;

void EventQueue::push(Event event) {
  {
    std::lock_guard lock(mutex_);
    if (closed_) return;
    if (event.kind == Event::Kind::kStatus) status_bytes_ += event.bytes.size();
    events_.push_back(std::move(event));
  }
  filled_.notify_one();
}

namespace {

// What a call is waited for by.
struct Ticket {
  std::mutex mutex;
  std::condition_variable changed;
  bool over = false, ran = false;
};

// Goes with the event, run or not.
class Stub {
 public:
  explicit Stub(std::shared_ptr<Ticket> ticket) : ticket_(std::move(ticket)) {}
  Stub(const Stub&) = delete;
  Stub& operator=(const Stub&) = delete;
  ~Stub() {
    std::lock_guard lock(ticket_->mutex);
    ticket_->over = true;
    ticket_->changed.notify_all();
  }
  void ran() {
    std::lock_guard lock(ticket_->mutex);
    ticket_->ran = true;
  }

 private:
  std::shared_ptr<Ticket> ticket_;
};

}  // namespace

bool EventQueue::call(std::function<Status()> fn, const base::Cancel& cancel) {
  auto ticket = std::make_shared<Ticket>();
  Event event;
  event.kind = Event::Kind::kCall;
  event.call = [stub = std::make_shared<Stub>(ticket), fn = std::move(fn)] {
    Status status = fn();
    stub->ran();
    return status;
  };
  push(std::move(event));
  auto registration = cancel.on_trigger([ticket] {
    std::lock_guard lock(ticket->mutex);
    ticket->changed.notify_all();
  });
  std::unique_lock lock(ticket->mutex);
  ticket->changed.wait(lock, [&] { return ticket->over || cancel.triggered(); });
  return ticket->ran;
}

void EventQueue::close() {
  std::deque<Event> dropped;  // goes after the lock
  std::lock_guard lock(mutex_);
  closed_ = true;
  dropped.swap(events_);
}

Event credential_event(const std::string& host, const std::string& receiver) {
  auto since = std::chrono::system_clock::now().time_since_epoch();
  auto nanoseconds = std::chrono::duration_cast<std::chrono::nanoseconds>(since).count();
  ::moby::buildkit::v1::StatusResponse batch;
  auto* vertex = batch.add_vertexes();
  vertex->set_digest("sha256:" + base::random_hex(32));
  vertex->set_name(receiver.empty() ? "[auth] sharing credentials for " + host
                                    : "[auth] token for " + host + " from " + receiver);
  for (auto* time : {vertex->mutable_started(), vertex->mutable_completed()}) {
    time->set_seconds(nanoseconds / 1000000000);
    time->set_nanos(static_cast<int32_t>(nanoseconds % 1000000000));
  }
  Event event;
  event.kind = Event::Kind::kStatus;
  event.bytes = batch.SerializeAsString();
  event.credential_uses.push_back({host, receiver});
  return event;
}

Event EventQueue::pop() {
  std::unique_lock lock(mutex_);
  filled_.wait(lock, [&] { return !events_.empty(); });
  Event event = std::move(events_.front());
  events_.pop_front();
  if (event.kind == Event::Kind::kStatus) status_bytes_ -= event.bytes.size();
  return event;
}

bool EventQueue::holds() {
  std::lock_guard lock(mutex_);
  return held_ = status_bytes_ >= kStatusHigh;
}

bool EventQueue::resumes() {
  std::lock_guard lock(mutex_);
  return status_bytes_ < kStatusHigh / 2 && std::exchange(held_, false);
}

Status callback_error(const std::string& which, int32_t code) {
  base::Error error;
  error.code = Code::kCancelled;
  error.hop = Hop::kCallback;
  error.message = "the " + which + " callback stopped the solve with " + std::to_string(code);
  error.user_code = code;
  return Status(std::move(error));
}

Status CallbackSink::open(std::function<void(Status)> ready) {
  std::lock_guard lock(mutex_);
  if (opened_)
    return Status(Code::kAlreadyExists, Hop::kSession, "the daemon sent the same export twice");
  opened_ = true;
  ready_ = std::move(ready);
  return {};
}

bool CallbackSink::write(std::span<const uint8_t> data) {
  if (data.empty()) return true;  // an empty piece would read as the end
  bool room = true;
  {
    std::lock_guard lock(mutex_);
    if (broken_) return true;
    queued_ += data.size();
    room = queued_ < kHigh;
    if (!room) held_ = true;
  }
  Event event;
  event.kind = Event::Kind::kExport;
  event.bytes.assign(reinterpret_cast<const char*>(data.data()), data.size());
  event.sink = shared_from_this();
  queue_->push(std::move(event));
  return room;
}

void CallbackSink::finish(std::function<void(Status)> done) {
  {
    std::lock_guard lock(mutex_);
    done_ = std::move(done);
  }
  Event event;
  event.kind = Event::Kind::kExportEnd;
  event.sink = shared_from_this();
  queue_->push(std::move(event));
}

void CallbackSink::abort() {
  std::lock_guard lock(mutex_);
  broken_ = true;
}

bool CallbackSink::complete() const {
  std::lock_guard lock(mutex_);
  return complete_;
}

void CallbackSecret::fetch(Done done) {
  Event event;
  event.kind = Event::Kind::kCall;
  event.call = [id = id_, reader = reader_, done = std::move(done)]() -> Status {
    std::optional<base::Secret> secret;
    int32_t code = (*reader)(id, secret);
    if (code != 0) return callback_error("secret", code);
    if (secret)
      done(std::move(*secret));
    else
      done(Status(Code::kNotFound, Hop::kSession, "not found"));
    return {};
  };
  queue_->push(std::move(event));
}

Status CallbackSink::deliver(const Event& event) {
  {
    std::lock_guard lock(mutex_);
    if (broken_) return {};
  }
  std::span<const uint8_t> data(reinterpret_cast<const uint8_t*>(event.bytes.data()),
                                event.bytes.size());
  int32_t code = (*writer_)(data);
  Status status = code == 0 ? Status() : callback_error("export", code);
  std::function<void(Status)> ready;
  std::function<void(Status)> done;
  {
    std::lock_guard lock(mutex_);
    queued_ -= event.bytes.size();
    if (!status.ok()) broken_ = true;
    if ((held_ && queued_ <= kLow) || !status.ok()) {
      held_ = false;
      ready = ready_;
    }
    if (event.kind == Event::Kind::kExportEnd) {
      done.swap(done_);
      complete_ = status.ok();
    }
  }
  if (done)
    done(status);
  else if (ready)
    ready(status);
  return status;
}

}  // namespace depot::solve

#include "builder/ask.h"

#include <condition_variable>
#include <deque>
#include <memory>
#include <mutex>
#include <optional>
#include <utility>

namespace depot::builder {
namespace {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;

// What the loop's thread and the one that asks share.
struct Exchange {
  std::mutex mutex;
  std::condition_variable changed;
  std::deque<std::string> messages;  // guarded by mutex
  size_t waiting = 0;                // guarded by mutex: bytes in `messages`
  bool held = false;                 // guarded by mutex: the stream waits for resume_reading()
  bool begun = false;                // guarded by mutex: on_done will come
  bool stopped = false;              // guarded by mutex: nobody waits for answers any more
  std::optional<Status> end;         // guarded by mutex

  std::shared_ptr<buildkit::Call> call;  // loop thread

  // All three on the loop's thread.
  void begin(buildkit::Channel& channel, std::string_view method, std::string request,
             std::chrono::milliseconds timeout, const std::shared_ptr<Exchange>& self) {
    {
      std::lock_guard lock(mutex);
      if (stopped) return;
      begun = true;
    }
    buildkit::CallOptions options;
    options.method = method;
    options.request = std::move(request);
    options.timeout = timeout;
    buildkit::CallObserver observer;
    observer.on_message = [self](const buildkit::Message& message) {
      return self->take(message.flatten());
    };
    observer.on_done = [self](Status status) { self->finish(std::move(status)); };
    call = channel.start(std::move(options), std::move(observer));
  }
  bool take(std::string message) {
    std::lock_guard lock(mutex);
    if (stopped) return true;  // to the end, which a cancel has called for
    waiting += message.size();
    messages.push_back(std::move(message));
    held = waiting > kMostWaiting;
    changed.notify_all();
    return !held;
  }
  void finish(Status status) {
    call = nullptr;
    std::lock_guard lock(mutex);
    end = std::move(status);
    changed.notify_all();
  }
};

// The task that begins an exchange. A loop that has stopped, because the machine was released just
// then, drops what is posted to it; whoever waits for the end has to hear of that, too.
class Begin {
 public:
  explicit Begin(std::shared_ptr<Exchange> exchange) : exchange_(std::move(exchange)) {}
  Begin(const Begin&) = delete;
  Begin& operator=(const Begin&) = delete;
  ~Begin() {
    if (exchange_) exchange_->finish(base::cancelled_error("the machine was released"));
  }
  std::shared_ptr<Exchange> take() { return std::exchange(exchange_, nullptr); }

 private:
  std::shared_ptr<Exchange> exchange_;
};

}  // namespace

Status ask(buildkit::Channel& channel, std::string_view method, std::string request, const Ask& how,
           const OnMessage& on_message) {
  if (how.cancel.triggered()) return base::cancelled_error();
  auto exchange = std::make_shared<Exchange>();
  channel.loop().post([&channel, begin = std::make_shared<Begin>(exchange), method,
                       timeout = how.timeout, sent = std::move(request)]() mutable {
    auto opened = begin->take();
    opened->begin(channel, method, std::move(sent), timeout, opened);
  });
  auto stop = [&channel, exchange] {
    {
      std::lock_guard lock(exchange->mutex);
      exchange->stopped = true;
      exchange->changed.notify_all();
    }
    channel.loop().post([exchange] {
      if (exchange->call) exchange->call->cancel();
    });
  };
  auto registration = how.cancel.on_trigger(stop);

  Status ours;  // why the receiver wants no more
  std::unique_lock lock(exchange->mutex);
  for (;;) {
    // What was begun has its end told, also when the channel stops; what was not is not waited for.
    exchange->changed.wait(lock, [&] {
      return exchange->end || (!exchange->stopped && !exchange->messages.empty()) ||
             (exchange->stopped && !exchange->begun);
    });
    if (exchange->stopped) {
      exchange->changed.wait(lock, [&] { return exchange->end || !exchange->begun; });
      return ours.ok() ? base::cancelled_error() : ours;
    }
    if (exchange->messages.empty()) break;
    std::string message = std::move(exchange->messages.front());
    exchange->messages.pop_front();
    exchange->waiting -= message.size();
    bool resume = exchange->held && exchange->waiting <= kMostWaiting / 2;
    if (resume) exchange->held = false;
    lock.unlock();
    if (resume) {
      channel.loop().post([exchange] {
        if (exchange->call) exchange->call->resume_reading();
      });
    }
    Status taken = on_message(message);
    if (!taken.ok()) {
      ours = std::move(taken);
      stop();
    }
    lock.lock();
  }
  Status end = *exchange->end;
  lock.unlock();
  if (end.ok()) return end;
  return channel.explain(end);
}

Result<std::string> ask_once(buildkit::Channel& channel, std::string_view method,
                             std::string request, const Ask& how) {
  std::optional<std::string> answer;
  DEPOT_TRY(
      ask(channel, method, std::move(request), how, [&](const std::string& message) -> Status {
        answer = message;
        return {};
      }));
  if (!answer)
    return Status(Code::kInternal, Hop::kMachine, "the builder answered without a message");
  return std::move(*answer);
}

Status explain_missing(const Status& status, const std::string& feature,
                       const buildkit::Version& since) {
  if (status.code() != Code::kUnimplemented) return status;
  return Status(Code::kFailedPrecondition, Hop::kMachine,
                "this builder cannot do " + feature + ": BuildKit can since " + since.text() +
                    ", and it does not know the call")
      .with_hint("use a newer builder; proxies before a builder may leave calls out, too");
}

}  // namespace depot::builder

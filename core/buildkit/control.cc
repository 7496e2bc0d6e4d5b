#include "buildkit/control.h"

#include <moby/buildkit/v1/control.pb.h>

#include <algorithm>
#include <future>

#include "base/clock.h"
#include "buildkit/errors.h"
#include "wire/methods.h"

namespace depot::buildkit {
namespace {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;
using Clock = std::chrono::steady_clock;
using Workers = std::vector<Worker>;

constexpr std::chrono::milliseconds kFirstPause{20};
constexpr std::chrono::milliseconds kLongestPause{500};
// One attempt: longer than any handshake, short enough that a stalled one is tried again.
constexpr std::chrono::milliseconds kAttempt{20000};

// So many connections in a row that were made and closed at once are no accident (about 3 s).
constexpr int kMostClosed = 8;

// The connection was made, TLS and all, and then closed by the other side, or answered by something
// else. A TLS 1.3 server looks at the client's certificate when the client is already done, and
// gRPC's transport does not pass its alert on.
bool closed_at_once(const Status& status) {
  auto has = [&](std::string_view text) {
    return status.message().find(text) != std::string::npos;
  };
  return has("Endpoint read failed") || has("Socket closed") || has("Connection reset") ||
         has("does not speak HTTP/2");
}

Status keeps_closing(const Channel& channel) {
  std::string what = "the builder at " + channel.address() + " closes the connection at once";
  if (channel.secured())
    return Status(Code::kUnauthenticated, Hop::kMachine,
                  what + ": it does not take our certificate")
        .with_hint("the identity must be of the CA that this builder trusts");
  return Status(Code::kUnavailable, Hop::kMachine, what)
      .with_hint("it may want TLS: give the CA, the certificate and the key");
}

Result<Workers> parse_workers(const std::string& bytes) {
  ::moby::buildkit::v1::ListWorkersResponse response;
  if (!response.ParseFromString(bytes))
    return Status(Code::kInternal, Hop::kMachine, "ListWorkers: the answer cannot be parsed");
  Workers workers;
  for (const auto& record : response.record()) {
    Worker worker;
    worker.id = record.id();
    for (const auto& [key, value] : record.labels()) worker.labels.emplace(key, value);
    for (const auto& platform : record.platforms()) {
      std::string text = platform.os() + "/" + platform.architecture();
      if (!platform.variant().empty()) text += "/" + platform.variant();
      worker.platforms.push_back(std::move(text));
    }
    worker.buildkit_version = record.buildkitversion().version();
    workers.push_back(std::move(worker));
  }
  return workers;
}

// One wait: attempts and pauses on the loop thread, the caller asleep on the future.
class ReadyWait : public std::enable_shared_from_this<ReadyWait> {
 public:
  ReadyWait(Channel& channel, std::chrono::milliseconds timeout)
      : channel_(channel),
        // Bounded: the longest of durations does not fit into nanoseconds.
        timeout_(std::min<std::chrono::milliseconds>(timeout, std::chrono::hours(24 * 365))),
        deadline_(Clock::now() + timeout_) {}

  std::future<Result<Workers>> future() { return promise_.get_future(); }

  void attempt() {
    if (done_) return;
    auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline_ - Clock::now());
    if (left.count() <= 0) return give_up();
    CallOptions options;
    options.method = wire::kControlListWorkers;
    options.request = "";
    // Where there is but one connection, another attempt would come no further.
    options.timeout = channel_.reconnects() ? std::min(left, kAttempt) : left;
    call_ =
        channel_.unary(std::move(options), [self = shared_from_this()](Result<std::string> answer) {
          self->answered(std::move(answer));
        });
  }

  void end(Result<Workers> result) {
    if (done_) return;
    done_ = true;
    if (timer_ != 0) channel_.loop().cancel_timer(timer_);
    if (call_) call_->cancel();
    call_ = nullptr;
    promise_.set_value(std::move(result));
  }

 private:
  void answered(Result<std::string> answer) {
    call_ = nullptr;
    if (done_) return;
    if (answer.ok()) return end(parse_workers(*answer));
    Status why = answer.status();
    // What is no HTTP/2 ends in a stream of unknown fate.
    bool lost =
        why.code() == Code::kUnavailable ||
        (!channel_.reconnects() && why.code() == Code::kUnknown && why.error().details.empty());
    if (lost) {
      why = connect_error(channel_.address(), why.message());
      if (Status ours = once_ ? channel_.check_identity() : Status(); !ours.ok()) return end(ours);
      once_ = false;
    }
    // The last attempt is cut short by the deadline: what those before it died of says more.
    if (last_.ok() || why.code() != Code::kDeadlineExceeded) last_ = why;
    if (!channel_.reconnects() && why.code() != Code::kDeadlineExceeded) return end(why);
    switch (why.code()) {
      case Code::kUnavailable:
      case Code::kDeadlineExceeded:
      case Code::kUnknown:
      case Code::kInternal:
      case Code::kResourceExhausted:
        break;
      default:
        return end(why);
    }
    closed_ = closed_at_once(why) ? closed_ + 1 : 0;
    if (closed_ == kMostClosed) return end(keeps_closing(channel_));
    auto left = std::chrono::duration_cast<std::chrono::milliseconds>(deadline_ - Clock::now());
    if (left <= pause_) return give_up();
    timer_ = channel_.loop().run_after(pause_, [self = shared_from_this()] {
      self->timer_ = 0;
      self->attempt();
    });
    pause_ = std::min(pause_ * 2, kLongestPause);
  }

  void give_up() {
    std::string time = base::limit_text(timeout_);
    base::Error error;
    error.code = Code::kDeadlineExceeded;
    error.hop = Hop::kMachine;
    error.retryable = true;
    error.message = "the builder at " + channel_.address() + " was not ready within " + time;
    if (!last_.ok()) error.message += ": " + last_.message();
    end(Status(std::move(error)));
  }

  Channel& channel_;
  std::chrono::milliseconds timeout_;
  Clock::time_point deadline_;
  std::chrono::milliseconds pause_ = kFirstPause;
  std::promise<Result<Workers>> promise_;
  std::shared_ptr<Call> call_;
  base::Loop::TimerId timer_ = 0;
  Status last_;
  int closed_ = 0;
  bool once_ = true;  // our identity was not looked at yet
  bool done_ = false;
};

}  // namespace

Result<Workers> wait_ready(Channel& channel, std::chrono::milliseconds timeout,
                           const base::Cancel& cancel) {
  auto wait = std::make_shared<ReadyWait>(channel, timeout);
  auto future = wait->future();
  channel.loop().post([wait] { wait->attempt(); });
  auto registration = cancel.on_trigger([&channel, wait] {
    channel.loop().post(
        [wait] { wait->end(base::cancelled_error("cancelled while waiting for the builder")); });
  });
  auto workers = future.get();
  if (!workers.ok()) return channel.explain(workers.status());
  return workers;
}

}  // namespace depot::buildkit

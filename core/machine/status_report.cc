#include "machine/status_report.h"

#include <condition_variable>
#include <deque>
#include <iterator>
#include <mutex>
#include <utility>

namespace depot::machine {
namespace {

using base::Code;
using base::Status;

// Not worth another try, now or later.
bool unwanted(const Status& status) {
  switch (status.code()) {
    case Code::kUnimplemented:
    case Code::kUnauthenticated:
    case Code::kPermissionDenied:
    case Code::kNotFound:
    case Code::kInvalidArgument:
      return true;
    default:
      return false;
  }
}

class StatusReportImpl final : public StatusReport,
                               public std::enable_shared_from_this<StatusReportImpl> {
 public:
  StatusReportImpl(base::Loop& loop, Send send, base::LogSink log)
      : loop_(loop), send_(std::move(send)), log_(std::move(log)) {}

  void add(const std::string& status_response) override {
    size_t size = status_response.size();
    std::lock_guard lock(mutex_);
    if (off_ || size > kMostInBatch || queued_ + size > kMostQueued) return;
    queued_ += size;
    queue_.push_back(status_response);
    if (!std::exchange(awake_, true)) post_send();
  }

  void flush(std::chrono::milliseconds patience) override {
    std::unique_lock lock(mutex_);
    flushing_ = true;
    if (!queue_.empty()) post_send();
    changed_.wait_for(lock, patience, [&] { return off_ || (queue_.empty() && !under_way_); });
    off_ = true;
    queue_.clear();
  }

 private:
  // Timers and posts hold a weak reference: a report that was let go of ends by itself.
  void post_send() {
    loop_.post([weak = weak_from_this()] {
      if (auto self = weak.lock()) self->send();
    });
  }

  void send() {
    Batch batch;
    {
      std::lock_guard lock(mutex_);
      if (off_ || under_way_) return;
      size_t size = 0;
      while (!queue_.empty() && size + queue_.front().size() <= kMostInBatch) {
        size += queue_.front().size();
        batch.push_back(std::move(queue_.front()));
        queue_.pop_front();
      }
      if (batch.empty()) {
        awake_ = false;
        return;
      }
      queued_ -= size;
      under_way_ = true;
    }
    auto sent = std::make_shared<Batch>(std::move(batch));
    send_(*sent, [weak = weak_from_this(), sent](Status status) {
      if (auto self = weak.lock()) self->answered(std::move(*sent), std::move(status));
    });
  }

  void answered(Batch batch, Status status) {
    bool now = false;
    {
      std::lock_guard lock(mutex_);
      under_way_ = false;
      if (!status.ok()) {
        if (flushing_ || unwanted(status)) {
          off_ = true;
          queue_.clear();
        } else {
          for (const auto& message : batch) queued_ += message.size();
          queue_.insert(queue_.begin(), std::make_move_iterator(batch.begin()),
                        std::make_move_iterator(batch.end()));
        }
      }
      now = flushing_ && !queue_.empty();
    }
    changed_.notify_all();
    if (!status.ok() && status.code() != Code::kUnimplemented)
      base::log(log_, base::LogLevel::kDebug, "status was not reported: " + status.message());
    if (now) return send();
    loop_.run_after(kPeriod, [weak = weak_from_this()] {
      if (auto self = weak.lock()) self->send();
    });
  }

  base::Loop& loop_;
  const Send send_;
  const base::LogSink log_;

  std::mutex mutex_;
  std::condition_variable changed_;
  std::deque<std::string> queue_;  // guarded by mutex_, as all below
  size_t queued_ = 0;              // bytes
  bool awake_ = false;             // a send is posted, under way or due
  bool under_way_ = false;
  bool flushing_ = false;
  bool off_ = false;
};

}  // namespace

std::shared_ptr<StatusReport> StatusReport::create(base::Loop& loop, Send send, base::LogSink log) {
  return std::make_shared<StatusReportImpl>(loop, std::move(send), std::move(log));
}

}  // namespace depot::machine

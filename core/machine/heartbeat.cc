#include "machine/heartbeat.h"

#include <atomic>

namespace depot::machine {
namespace {

class HeartbeatImpl final : public Heartbeat, public std::enable_shared_from_this<HeartbeatImpl> {
 public:
  HeartbeatImpl(base::Loop& loop, Send send, std::function<void()> on_cancelled, base::LogSink log,
                const base::Clock& clock)
      : loop_(loop),
        send_(std::move(send)),
        on_cancelled_(std::move(on_cancelled)),
        log_(std::move(log)),
        clock_(clock) {}

  void stop() override { stopped_ = true; }

  // Timers hold a weak reference: a heartbeat that was let go of ends by itself.
  void beat() {
    if (stopped_) return;
    loop_.run_after(kPeriod, [weak = weak_from_this()] {
      if (auto self = weak.lock()) self->beat();
    });
    if (under_way_) return;
    under_way_ = true;
    send_([weak = weak_from_this()](base::Result<CancelsAt> answer) {
      if (auto self = weak.lock()) self->answered(std::move(answer));
    });
  }

 private:
  void answered(base::Result<CancelsAt> answer) {
    under_way_ = false;
    if (stopped_) return;
    if (!answer.ok()) {
      base::log(log_, base::LogLevel::kWarning,
                "health report failed: " + answer.status().message());
      return;
    }
    if (answer->has_value() && **answer <= clock_.wall()) {
      stopped_ = true;
      on_cancelled_();
    }
  }

  base::Loop& loop_;
  Send send_;
  std::function<void()> on_cancelled_;
  base::LogSink log_;
  const base::Clock& clock_;
  std::atomic<bool> stopped_ = false;
  bool under_way_ = false;  // loop
};

}  // namespace

std::shared_ptr<Heartbeat> Heartbeat::start(base::Loop& loop, Send send,
                                            std::function<void()> on_cancelled, base::LogSink log,
                                            const base::Clock& clock) {
  auto heartbeat = std::make_shared<HeartbeatImpl>(loop, std::move(send), std::move(on_cancelled),
                                                   std::move(log), clock);
  loop.post([weak = std::weak_ptr<HeartbeatImpl>(heartbeat)] {
    if (auto self = weak.lock()) self->beat();
  });
  return heartbeat;
}

}  // namespace depot::machine

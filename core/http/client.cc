#include "http/client.h"

#include <curl/curl.h>

#include <algorithm>
#include <charconv>
#include <condition_variable>
#include <ctime>
#include <mutex>
#include <optional>

#include "http/engine.h"

namespace depot::http {
namespace {

base::Status forked_error() {
  return base::Status(
             base::Code::kFailedPrecondition, base::Hop::kUsage,
             "this HTTP client belongs to the parent process: threads do not survive fork()")
      .with_hint("make a new client after fork()");
}

class ClientImpl final : public Client {
 public:
  explicit ClientImpl(Options options) : engine_(std::make_shared<Engine>(std::move(options))) {}

  ~ClientImpl() override {
    if (engine_->usable_here())
      engine_->stop();
    else  // its thread, locks and sockets are the parent's: left as they are
      new std::shared_ptr<Engine>(std::move(engine_));
  }

  CallId send(Request request, Done done) override {
    if (engine_->usable_here()) return engine_->send(std::move(request), std::move(done));
    done(forked_error());
    return 0;
  }

  void cancel(CallId id) override {
    if (engine_->usable_here()) engine_->cancel(id);
  }

  base::Result<Response> fetch(Request request, const base::Cancel& cancel_switch) override {
    if (!engine_->usable_here()) return forked_error();
    if (engine_->on_loop_thread())
      return base::internal_error("an HTTP request would wait for its own thread");
    if (cancel_switch.triggered()) return base::cancelled_error();
    struct Waiter {
      std::mutex mutex;
      std::condition_variable changed;
      std::optional<base::Result<Response>> result;
    };
    auto waiter = std::make_shared<Waiter>();
    CallId id = engine_->send(std::move(request), [waiter](base::Result<Response> result) {
      {
        std::lock_guard lock(waiter->mutex);
        waiter->result.emplace(std::move(result));
      }
      waiter->changed.notify_all();
    });
    auto registration = cancel_switch.on_trigger([this, id] { engine_->cancel(id); });
    std::unique_lock lock(waiter->mutex);
    waiter->changed.wait(lock, [&] { return waiter->result.has_value(); });
    return std::move(*waiter->result);
  }

  base::Loop& loop() override { return *engine_; }

 private:
  std::shared_ptr<Engine> engine_;
};

}  // namespace

std::string Response::header(std::string_view lower_case_name) const {
  for (const auto& [name, value] : headers)
    if (name == lower_case_name) return value;
  return "";
}

std::optional<std::chrono::milliseconds> Response::retry_after() const {
  std::string text = header("retry-after");
  if (text.empty()) return std::nullopt;
  constexpr int64_t kMost = 24 * 3600;
  int64_t seconds = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), seconds);
  if (error == std::errc::result_out_of_range) {
    seconds = kMost;
  } else if (error != std::errc() || end != text.data() + text.size()) {
    time_t when = curl_getdate(text.c_str(), nullptr);
    if (when == -1) return std::nullopt;
    seconds = static_cast<int64_t>(when) - static_cast<int64_t>(time(nullptr));
  }
  return std::chrono::seconds(std::clamp<int64_t>(seconds, 0, kMost));
}

std::shared_ptr<Client> Client::create(Options options) {
  return std::make_shared<ClientImpl>(std::move(options));
}

}  // namespace depot::http

#include "depotapi/retry.h"

#include <algorithm>

#include "depotapi/text.h"

namespace depot::depotapi {
namespace {

constexpr int kMaxTries = 12;
constexpr int kMaxTriesOfServerErrors = 4;  // about a second

}  // namespace

std::chrono::milliseconds Backoff::next() {
  std::uniform_int_distribution<int64_t> part(1, bound_.count());
  bound_ = std::min(bound_ * 2, kMost);
  return std::chrono::milliseconds(part(random_));
}

int tries_for(const UnaryAnswer& answer) {
  if (answer.status.ok()) return 1;
  if (answer.http_status == 0) return answer.status.error().retryable ? kMaxTries : 1;
  if (answer.http_status == 429 || answer.status.code() == base::Code::kUnavailable)
    return kMaxTries;
  // 501 is how Connect says unimplemented.
  bool server_error = answer.http_status / 100 == 5 && answer.http_status != 501;
  return server_error ? kMaxTriesOfServerErrors : 1;
}

UnaryAnswer call_with_retries(const ConnectClient& client, const UnaryRequest& request,
                              const CallOptions& options, const base::LogSink& log,
                              std::chrono::milliseconds first_try) {
  using Clock = std::chrono::steady_clock;
  const auto timeout = std::clamp<std::chrono::milliseconds>(
      options.timeout, std::chrono::milliseconds(0), std::chrono::hours(24 * 365));
  const auto deadline = Clock::now() + timeout;
  Backoff backoff;
  auto patience = request.once ? timeout : first_try;
  bool fresh = request.fresh;
  for (int tries = 1;; ++tries, patience *= 2) {
    UnaryRequest again = request;
    const auto left = tries == 1
                          ? timeout
                          : std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now());
    again.timeout = std::min(left, patience);
    again.fresh = fresh;
    UnaryAnswer answer = client.call(std::move(again), options.cancel);
    fresh = request.fresh || answer.http_status == 0;
    const bool silent = answer.http_status == 0 && patience < left &&
                        answer.status.code() == base::Code::kDeadlineExceeded;
    int most = request.once && answer.http_status != 0 ? 1 : tries_for(answer);
    if (silent) most = kMaxTries;
    if (most == 1) return answer;
    auto wait = std::max(backoff.next(), answer.retry_after.value_or(std::chrono::milliseconds(0)));
    if (tries >= most || Clock::now() + wait >= deadline) {
      if (tries > 1)
        answer.status = answer.status.with_prefix("after " + std::to_string(tries) + " tries");
      return answer;
    }
    base::log(log, base::LogLevel::kInfo,
              request.path + " failed and is repeated in " + std::to_string(wait.count()) +
                  " ms: " + clean_line(answer.status.message(), 500));
    if (options.cancel.wait_for(wait)) {
      answer.status = base::cancelled_error();
      return answer;
    }
  }
}

}  // namespace depot::depotapi

#include "machine/retry.h"

#include <moby/buildkit/v1/control.pb.h>

#include <algorithm>
#include <charconv>
#include <string_view>

#include "solve/events.h"
#include "solve/step.h"
#include "solve/stream.h"

namespace depot::machine {
namespace {

using base::Result;
using base::Status;
using Clock = std::chrono::steady_clock;
namespace control = ::moby::buildkit::v1;

constexpr std::string_view kPassing[] = {"inconsistent graph state",
                                         "failed to get state for index"};
constexpr int kRetries = 5, kMostRetries = 100;

// A step of our own in the status. Non-zero: its consumer wants an end.
int32_t tell(const Machine& machine, const SolveOptions& options, const std::string& what) {
  int32_t code = 0;
  solve::Step step(what, "", [&](const std::string& bytes) {
    control::StatusResponse batch;
    if (const auto& report = machine.build()->status_report()) report->add(bytes);
    if (code != 0 || !options.on_status || !batch.ParseFromString(bytes)) return;
    try {
      code = options.on_status({batch, bytes, {}});
    } catch (...) {  // one that lets an exception out of C wants an end, too
      code = 1;
    }
  });
  step.begin();
  step.end(Status());
  return code;
}

}  // namespace

Once::Once(solve::Request& request) : request_(request) {
  for (auto& target : request.exports) {
    if (!target.writer) continue;
    target.writer = std::make_shared<solve::ExportWriter>(
        [inner = target.writer, written = written_](std::span<const uint8_t> bytes) {
          *written = true;
          return (*inner)(bytes);
        });
  }
}

std::string Once::used() const {
  if (*written_) return "a callback has had bytes of an export already";
  for (const auto& stream : {request_.stream, request_.dockerfile_stream})
    if (stream && stream->given()) return stream->name() + " has been read, and is read only once";
  return "";
}

bool is_passing_error(const Status& status) {
  return !status.ok() &&
         std::any_of(std::begin(kPassing), std::end(kPassing), [&](std::string_view text) {
           return status.message().find(text) != std::string::npos;
         });
}

int most_retries(const base::Environment& environment) {
  const std::string given = environment.get_or("DEPOT_BUILDKIT_ERROR_MAX_RETRY_COUNT", "");
  int count = 0;
  auto [end, error] = std::from_chars(given.data(), given.data() + given.size(), count);
  const bool number = !given.empty() && end == given.data() + given.size();
  if (number && error == std::errc::result_out_of_range) return kMostRetries;
  if (!number || error != std::errc() || count < 0) return kRetries;
  return std::min(count, kMostRetries);
}

Result<solve::Result> solve_with_retries(Machine& machine, const solve::Request& request,
                                         const SolveOptions& options) {
  const auto began = Clock::now();
  const Client& client = *machine.build()->client();
  solve::Request again = request;
  const Once once(again);
  const int most = most_retries(client.options().environment);
  SolveOptions rest = options;
  for (int tried = 0;; ++tried) {
    auto result = machine.solve_once(again, rest);
    if (result.ok() || !is_passing_error(result.status())) return result;
    const std::string reason = result.status().message();
    if (tried == most) return result;
    if (const std::string used = once.used(); !used.empty()) {
      base::log(client.options().log, base::LogLevel::kWarning,
                "an error of BuildKit's that may pass, but the build is not tried again, because " +
                    used);
      return result;
    }
    const std::string what = "trying the build again (" + std::to_string(tried + 1) + " of " +
                             std::to_string(most) + "): " + reason;
    base::log(client.options().log, base::LogLevel::kWarning, what);
    if (int32_t code = tell(machine, options, what); code != 0)
      return solve::callback_error("status", code);
    if (options.cancel.wait_for(kRetryPause)) return base::cancelled_error();
    if (options.timeout.count() <= 0) continue;
    auto spent = std::chrono::duration_cast<std::chrono::milliseconds>(Clock::now() - began);
    if (spent >= options.timeout) return result;
    rest.timeout = options.timeout - spent;
  }
}

}  // namespace depot::machine

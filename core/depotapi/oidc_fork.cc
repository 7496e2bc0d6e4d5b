// A pull request from a fork of a public repository: its job proves what it is by printing a
// challenge code into its own public log, which the service reads.
#include <nlohmann/json.hpp>

#include "base/small_file.h"
#include "depotapi/oidc.h"
#include "depotapi/text.h"

namespace depot::depotapi {
namespace {

using base::Code;
using base::Environment;
using base::Hop;
using base::Result;
using base::Secret;
using base::Status;
using Json = nlohmann::json;

constexpr const char* kClaimUrl = "https://actions-public-oidc.depot.dev/claim";
constexpr size_t kMaxEvent = 25 << 20;  // GitHub's own bound
constexpr int kExchanges = 60;
constexpr std::chrono::milliseconds kBetween{1000}, kOneExchange{10000}, kAltogether{120000};
constexpr size_t kMaxToken = 64 << 10;

std::string text_at(const Json& json, const char* pointer) {
  Json::json_pointer at(pointer);
  return json.contains(at) && json[at].is_string() ? json[at].get<std::string>() : "";
}

// The base repository's full name if the event is what this is for, else empty.
std::string forked_from(const Environment& environment) {
  if (environment.get_or("GITHUB_RUN_ID", "").empty() ||
      environment.get_or("GITHUB_EVENT_NAME", "") != "pull_request")
    return "";
  auto text = base::read_small_file(environment.get_or("GITHUB_EVENT_PATH", ""), kMaxEvent);
  if (!text.ok()) return "";
  Json event = Json::parse(text->reveal(), nullptr, /*allow_exceptions=*/false);
  if (!event.is_object()) return "";
  Json::json_pointer closed("/repository/private");
  if (!event.contains(closed) || !event[closed].is_boolean() || event[closed].get<bool>())
    return "";
  std::string head = text_at(event, "/pull_request/head/repo/full_name");
  std::string base = text_at(event, "/pull_request/base/repo/full_name");
  if (base.empty()) base = text_at(event, "/repository/full_name");
  return head.empty() || head == base ? "" : base;
}

}  // namespace

bool has_fork_oidc(const Environment& environment) {
  return !forked_from(environment).empty();
}

Result<Secret> fork_oidc_token(const OidcContext& context) {
  const Environment& environment = context.environment;
  http::Request claim;
  claim.method = "POST";
  claim.url = kClaimUrl;
  claim.headers = {{"Content-Type", "application/json"}};
  // A file may hold anything: what is no UTF-8 is replaced, not thrown about.
  claim.body = Secret(Json{{"aud", kOidcAudience},
                           {"eventName", environment.get_or("GITHUB_EVENT_NAME", "")},
                           {"repo", forked_from(environment)},
                           {"runID", environment.get_or("GITHUB_RUN_ID", "")},
                           {"attempt", environment.get_or("GITHUB_RUN_ATTEMPT", "1")}}
                          .dump(-1, ' ', false, Json::error_handler_t::replace));
  DEPOT_ASSIGN(http::Response response, oidc_fetch(context, claim));
  Json answer = Json::parse(response.body, nullptr, /*allow_exceptions=*/false);
  std::string code = answer.is_object() ? text_at(answer, "/challengeCode") : "";
  std::string url = answer.is_object() ? text_at(answer, "/exchangeURL") : "";
  if (code.empty() || url.empty())
    return Status(Code::kInternal, Hop::kApi, "the provider's answer holds no challenge");

  const auto deadline = std::chrono::steady_clock::now() + kAltogether;
  for (int tries = 0; tries < kExchanges && std::chrono::steady_clock::now() < deadline; ++tries) {
    // A warning, because the job's log has to show it for this to work at all.
    base::log(context.log, base::LogLevel::kWarning,
              "Waiting for OIDC auth challenge " + clean_line(code, 200));
    http::Request exchange;
    exchange.method = "POST";
    exchange.url = url;
    exchange.max_response = kMaxToken;
    exchange.timeout = kOneExchange;
    auto result = context.http->fetch(std::move(exchange), context.call.cancel);
    if (result.ok() && result->status == 200)
      return Secret::take(std::string(trimmed(result->body)));
    if (context.call.cancel.wait_for(kBetween)) return base::cancelled_error();
  }
  return Status(Code::kDeadlineExceeded, Hop::kApi, "the challenge was not seen in time");
}

}  // namespace depot::depotapi

#include "depotapi/oidc.h"

#include <array>
#include <nlohmann/json.hpp>
#include <string_view>

#include "depotapi/retry.h"
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

constexpr int kTries = 3;
constexpr std::chrono::milliseconds kOneExchange{10000};
constexpr size_t kMaxAnswer = 256 << 10;
constexpr size_t kMaxToken = 64 << 10;

bool has(const Environment& environment, std::string_view name) {
  return !environment.get_or(name, "").empty();
}

Secret from_environment(const Environment& environment, std::string_view name) {
  return Secret(trimmed(environment.get_or(name, "")));
}

Status bad_answer(std::string why) {
  return Status(Code::kInternal, Hop::kApi, "the provider's answer " + std::move(why));
}

bool has_github(const Environment& e) {
  return has(e, "ACTIONS_ID_TOKEN_REQUEST_URL") && has(e, "ACTIONS_ID_TOKEN_REQUEST_TOKEN");
}

Result<Secret> github(const OidcContext& context) {
  http::Request request;
  request.url = context.environment.get_or("ACTIONS_ID_TOKEN_REQUEST_URL", "");
  request.url += request.url.find('?') == std::string::npos ? '?' : '&';
  request.url += "audience=https%3A%2F%2Fdepot.dev";
  request.authorization =
      Secret("bearer " + context.environment.get_or("ACTIONS_ID_TOKEN_REQUEST_TOKEN", ""));
  DEPOT_ASSIGN(http::Response response, oidc_fetch(context, request));
  return json_secret(std::move(response.body), "value");
}

bool has_gitlab(const Environment& e) {
  return has(e, "GITLAB_CI") && has(e, "DEPOT_OIDC_TOKEN");
}

Result<Secret> gitlab(const OidcContext& context) {
  return from_environment(context.environment, "DEPOT_OIDC_TOKEN");
}

bool has_circleci(const Environment& e) {
  return has(e, "CIRCLE_OIDC_TOKEN_V2");
}

Result<Secret> circleci(const OidcContext& context) {
  return from_environment(context.environment, "CIRCLE_OIDC_TOKEN_V2");
}

bool has_buildkite(const Environment& e) {
  return has(e, "BUILDKITE_AGENT_ACCESS_TOKEN") && has(e, "BUILDKITE_JOB_ID");
}

Result<Secret> buildkite(const OidcContext& context) {
  const Environment& e = context.environment;
  std::string job = e.get_or("BUILDKITE_JOB_ID", "");
  for (unsigned char c : job)
    if (!isalnum(c) && c != '-' && c != '_') return base::usage_error("BUILDKITE_JOB_ID is no id");
  http::Request request;
  request.method = "POST";
  request.url = e.get_or("BUILDKITE_AGENT_ENDPOINT", "https://agent.buildkite.com/v3") + "/jobs/" +
                job + "/oidc/tokens";
  request.headers = {{"Content-Type", "application/json"}, {"User-Agent", "buildkite-agent/api"}};
  request.authorization = Secret("Token " + e.get_or("BUILDKITE_AGENT_ACCESS_TOKEN", ""));
  request.body = Secret(Json{{"audience", kOidcAudience}}.dump());
  DEPOT_ASSIGN(http::Response response, oidc_fetch(context, request));
  return json_secret(std::move(response.body), "token");
}

struct Provider {
  const char* name;
  bool asks;  // needs a request
  bool (*has)(const Environment&);
  Result<Secret> (*token)(const OidcContext&);
};

constexpr std::array<Provider, 5> kProviders = {{
    {"GitHub Actions", true, has_github, github},
    {"GitLab CI", false, has_gitlab, gitlab},
    {"CircleCI", false, has_circleci, circleci},
    {"Buildkite", true, has_buildkite, buildkite},
    {"GitHub Actions for pull requests from forks", true, has_fork_oidc, fork_oidc_token},
}};

}  // namespace

bool has_oidc(const Environment& environment) {
  for (const Provider& provider : kProviders)
    if (provider.has(environment)) return true;
  return false;
}

Result<std::optional<Secret>> oidc_token(const OidcContext& context,
                                         std::vector<std::string>& tried) {
  for (const Provider& provider : kProviders) {
    if (!provider.has(context.environment)) continue;
    if (provider.asks && !context.http) {
      tried.push_back(std::string(provider.name) + ": needs a request, which is not allowed here");
      continue;
    }
    Result<Secret> token = provider.token(context);
    if (token.ok() && !token->empty()) return std::optional<Secret>(std::move(token).value());
    if (context.call.cancel.triggered()) return base::cancelled_error();
    Status status = token.ok() ? bad_answer("is empty") : token.status();
    tried.push_back(std::string(provider.name) + ": " + status.message());
    base::log(context.log,
              context.environment.truthy("DEPOT_DEBUG_OIDC") ? base::LogLevel::kWarning
                                                             : base::LogLevel::kInfo,
              "no token from " + tried.back());
  }
  return std::optional<Secret>();
}

Result<http::Response> oidc_fetch(const OidcContext& context, const http::Request& request) {
  Backoff backoff;
  for (int tries = 1;; ++tries) {
    http::Request again = request;
    again.timeout = std::min(kOneExchange, context.call.timeout);
    again.max_response = kMaxAnswer;
    auto response = context.http->fetch(std::move(again), context.call.cancel);
    bool passing = response.ok() ? response->status == 429 || response->status >= 500
                                 : response.status().error().retryable;
    if (response.ok() && response->status < 300) return response;
    if (!passing || tries == kTries || context.call.cancel.wait_for(backoff.next())) {
      if (!response.ok()) return response.status();
      // The body is left out: it may hold anything, and the status says enough.
      return bad_answer("is HTTP " + std::to_string(response->status));
    }
  }
}

Result<Secret> json_secret(std::string&& body, const char* key) {
  Json object = Json::parse(body, nullptr, /*allow_exceptions=*/false);
  base::wipe(body);
  if (!object.is_object() || !object.contains(key) || !object[key].is_string())
    return bad_answer(std::string("is not a JSON object with \"") + key + "\"");
  Secret secret = Secret::take(std::move(object[key].get_ref<std::string&>()));
  if (secret.empty() || secret.size() > kMaxToken) return bad_answer("holds no usable token");
  return secret;
}

}  // namespace depot::depotapi

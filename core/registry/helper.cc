#include "registry/helper.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "base/process.h"
#include "registry/json_text.h"
#include "registry/process.h"
#include "registry/token_answer.h"

namespace depot::registry {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;

namespace {

std::string_view trimmed(std::string_view text) {
  size_t first = text.find_first_not_of(" \t\r\n");
  if (first == std::string_view::npos) return "";
  return text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

// What a failing helper said. Helpers print their errors on stdout; but stdout that looks like an
// answer may hold the secret, so it is left out.
std::string said(const ProcessOutput& result, std::string_view secret) {
  std::string_view output = result.output.reveal();
  std::string text;
  if (output.find_first_of("{\"") == std::string_view::npos) text = one_line(output, {secret});
  std::string errors = one_line(result.errors.reveal(), {secret});
  if (!text.empty() && !errors.empty()) text += "; ";
  text += errors;
  return text.empty() ? "it said nothing" : text;
}

// The helper's answer, or why it is none.
Result<Credentials> parse_answer(std::string_view text) {
  DEPOT_ASSIGN(JsonDocument document, JsonDocument::parse(text, Code::kDataLoss, Hop::kHelper));
  auto problem = [](const char* reason) { return Status(Code::kDataLoss, Hop::kHelper, reason); };
  if (!document.root().is_object()) return problem("not a JSON object");
  for (const char* name : {"Username", "Secret"}) {
    const auto* found = member(document.root(), name);
    if (found != nullptr && !found->is_string()) return problem("a field is not a string");
  }
  auto username = string_member(document.root(), "Username");
  auto secret = string_member(document.root(), "Secret");
  if (!username && !secret) return problem("neither \"Username\" nor \"Secret\"");
  Credentials credentials;
  credentials.secret = base::Secret(secret.value_or(""));
  credentials.identity_token = username.value_or("") == "<token>";
  if (!credentials.identity_token) credentials.username = std::string(username.value_or(""));
  return credentials;
}

}  // namespace

bool valid_suffix(std::string_view suffix) {
  return !suffix.empty() && suffix.size() <= 64 &&
         std::all_of(suffix.begin(), suffix.end(), [](char c) {
           return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') ||
                  c == '_' || c == '.' || c == '-';
         });
}

Result<Credentials> run_helper(const std::string& suffix, const std::string& key,
                               const base::Environment& environment, const base::Cancel& cancel,
                               std::chrono::milliseconds timeout) {
  if (!valid_suffix(suffix)) {
    return Status(Code::kInvalidArgument, Hop::kHelper,
                  "the credential helper configured for " + key + " has an invalid name")
        .with_hint("credsStore and credHelpers take letters, digits, \"_\", \".\" and \"-\"");
  }
  std::string name = "docker-credential-" + suffix;
  std::string path = base::find_program(environment, name);
  if (path.empty()) {
    return Status(Code::kNotFound, Hop::kHelper,
                  name + ", the credential helper for " + key + ", is not in PATH")
        .with_hint(
            "install it, or take it out of credsStore or credHelpers in docker's config.json");
  }
  auto about = [&](const Status& status) { return status.with_prefix(name + " for " + key); };
  Process process;
  process.arguments = {path, "get"};
  process.input = key;
  auto result = run_process(process, environment, cancel, timeout);
  if (!result.ok()) {
    Status status = about(result.status()).with_retryable(false);
    if (status.code() != Code::kDeadlineExceeded) return status;
    return status.with_hint("run: echo " + key + " | " + name + " get");
  }
  std::string_view output = result->output.reveal();
  bool failed = result->exit_code != 0 || result->signal != 0;
  if (failed && trimmed(output) == "credentials not found in native keychain") return Credentials();
  Result<Credentials> answer = parse_answer(output);
  std::string_view secret = answer.ok() ? answer->secret.reveal() : std::string_view();
  if (failed) {
    std::string how = result->signal != 0
                          ? "killed by signal " + std::to_string(result->signal)
                          : "failed with exit code " + std::to_string(result->exit_code);
    return about(
        Status(Code::kFailedPrecondition, Hop::kHelper, how + ": " + said(*result, secret)));
  }
  if (!answer.ok()) return about(answer.status().with_prefix("its answer"));
  return answer;
}

}  // namespace depot::registry

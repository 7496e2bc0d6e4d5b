#include "depotapi/resolve.h"

#include <filesystem>
#include <optional>
#include <vector>

#include "depotapi/config_file.h"
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

constexpr std::string_view kDefaultApi = "https://api.depot.dev";

// The stored login's token: DEPOT_API_TOKEN stands before the file.
Result<std::optional<Secret>> stored_login(const Environment& environment) {
  if (std::string token = environment.get_or("DEPOT_API_TOKEN", ""); !trimmed(token).empty())
    return std::optional<Secret>(Secret(trimmed(token)));
  std::string path = login_file(environment);
  if (path.empty()) return std::optional<Secret>();
  DEPOT_ASSIGN(std::optional<std::string> value, yaml_value(path, "api_token"));
  if (!value || trimmed(*value).empty()) return std::optional<Secret>();
  Secret secret{trimmed(*value)};
  base::wipe(*value);
  return std::optional<Secret>(std::move(secret));
}

std::string joined(const std::vector<std::string>& lines) {
  std::string text;
  for (const std::string& line : lines) text += (text.empty() ? "" : "; ") + line;
  return text;
}

}  // namespace

bool has_token(const std::string& explicit_token, const Environment& environment) {
  if (!trimmed(explicit_token).empty()) return true;
  for (const char* name : {"DEPOT_TOKEN", "DEPOT_JIT_TOKEN", "DEPOT_CACHE_TOKEN"})
    if (!trimmed(environment.get_or(name, "")).empty()) return true;
  auto login = stored_login(environment);
  return (login.ok() && login->has_value()) || has_oidc(environment);
}

Result<Secret> resolve_token(const ResolveOptions& options, const CallOptions& call) {
  const Environment& environment = options.environment;
  if (!trimmed(options.token).empty()) return Secret(trimmed(options.token));
  std::vector<std::string> tried{"no token option"};
  auto from_environment = [&](const char* name) -> std::optional<Secret> {
    std::string value = environment.get_or(name, "");
    if (!trimmed(value).empty()) return Secret(trimmed(value));
    tried.push_back(std::string(name) + " is not set");
    return std::nullopt;
  };
  if (auto token = from_environment("DEPOT_TOKEN")) return std::move(*token);
  auto login = stored_login(environment);
  if (login.ok() && login->has_value()) return std::move(**login);
  std::string file = login_file(environment);
  if (!login.ok())
    tried.push_back("stored login: " + login.status().message());
  else
    tried.push_back("no stored login" + (file.empty() ? "" : " in " + clean_line(file, 500)));

  size_t before = tried.size();
  DEPOT_ASSIGN(std::optional<Secret> identity,
               oidc_token({environment, options.http.get(), call, options.log}, tried));
  if (identity) return std::move(*identity);
  if (tried.size() == before) tried.push_back("no OIDC provider is present");
  for (const char* name : {"DEPOT_JIT_TOKEN", "DEPOT_CACHE_TOKEN"})
    if (auto token = from_environment(name)) return std::move(*token);
  return Status(Code::kUnauthenticated, Hop::kApi, "no Depot token: " + joined(tried))
      .with_hint(
          "set DEPOT_TOKEN or the token option (a project token from the project's settings), or "
          "run \"depot login\"");
}

Result<std::string> resolve_project(const ResolveOptions& options) {
  if (!trimmed(options.project).empty()) return std::string(trimmed(options.project));
  std::string named = options.environment.get_or("DEPOT_PROJECT_ID", "");
  if (!trimmed(named).empty()) return std::string(trimmed(named));
  // A context that is no folder here (a URL, "-") says nothing about the project.
  std::error_code error;
  bool folder =
      !options.context_dir.empty() && std::filesystem::is_directory(options.context_dir, error);
  std::string file = find_project_file(folder ? options.context_dir : ".");
  if (file.empty()) return std::string();
  DEPOT_ASSIGN(std::optional<std::string> id, yaml_value(file, "id"));
  return id ? std::string(trimmed(*id)) : std::string();
}

Result<std::string> resolve_api_url(const std::string& explicit_url,
                                    const Environment& environment) {
  std::string url(trimmed(explicit_url));
  bool variable = url.empty();
  if (variable) url = std::string(trimmed(environment.get_or("DEPOT_API_URL", kDefaultApi)));
  while (!url.empty() && url.back() == '/') url.pop_back();
  std::string_view rest = url;
  bool known = false;
  for (std::string_view scheme : {"https://", "http://"}) {
    if (!rest.starts_with(scheme)) continue;
    rest.remove_prefix(scheme.size());
    known = true;
    break;
  }
  std::string wrong;
  if (!known)
    wrong = "it has to begin with https:// or http://";
  else if (rest.empty() || rest.front() == '/')
    wrong = "it names no host";
  else if (rest.substr(0, rest.find('/')).find('@') != std::string_view::npos)
    wrong = "it must not hold a user name or password";
  else if (rest.find_first_of("?#") != std::string_view::npos || clean_line(url, 4096) != url)
    wrong = "it has to be an address alone, without a query";
  if (wrong.empty()) return url;
  return Status(Code::kInvalidArgument, Hop::kUsage,
                std::string(variable ? "DEPOT_API_URL" : "the API's address") + ": " + wrong)
      .with_hint("for example https://api.depot.dev");
}

}  // namespace depot::depotapi

#include "machine/api.h"

#include <algorithm>

#include "depotapi/resolve.h"

namespace depot::machine {
namespace {

using base::Result;
using base::Status;
using Clock = std::chrono::steady_clock;

void connect_to(ApiAccess& access, const Client& client, const std::string& url,
                const std::string& unix_socket) {
  if (unix_socket.empty()) {
    access.http = client.http();
  } else {
    http::Options options;
    options.user_agent = client.user_agent();
    options.unix_socket = unix_socket;
    options.environment = client.options().environment;
    options.log = client.options().log;
    access.http = http::Client::create(std::move(options));
  }
  depotapi::BuildApiOptions options;
  options.http = access.http;
  options.base_url = url;
  options.log = client.options().log;
  access.api = depotapi::BuildApi::create(std::move(options));
}

// "auto" fell back to the local builder, and that cannot be had: say what else was looked for.
Status explain_auto(const Client& client, const Status& status) {
  const std::string& asked = client.options().builder;
  if (!asked.empty() && asked != "auto") return status;
  std::string hint =
      "no builder was named; tried in this order: a Depot token (--token, DEPOT_TOKEN, `depot "
      "login`, "
      "OIDC of a CI provider): none; BUILDKIT_HOST: not set; the local builder: " +
      status.message() +
      ". Set DEPOT_TOKEN and a project to build on Depot, or BUILDKIT_HOST to use a running "
      "buildkitd";
  if (!status.error().hint.empty()) hint += ", or, for the local builder: " + status.error().hint;
  return status.with_hint(std::move(hint));
}

}  // namespace

std::string name_of(const Client& client) {
  return client.kind() == Client::Kind::kLocal ? "the local builder"
                                               : "the builder at " + client.builder();
}

Result<ApiAccess> open_api(const Client& client, const ApiOptions& options) {
  const ClientOptions& defaults = client.options();
  const auto deadline = Clock::now() + options.timeout;
  auto left = [&] {
    return std::chrono::duration_cast<std::chrono::milliseconds>(deadline - Clock::now());
  };
  depotapi::ResolveOptions resolve;
  resolve.token = options.token.empty() ? defaults.token : options.token;
  resolve.project = options.project.empty() ? defaults.project : options.project;
  resolve.context_dir = options.context_dir;
  resolve.environment = defaults.environment;
  resolve.log = defaults.log;

  ApiAccess access;
  if (client.kind() == Client::Kind::kLocal) {
    auto socket = localbuilder::ensure_running(client.launch_options(), options.cancel, deadline);
    if (!socket.ok()) return explain_auto(client, socket.status());
    connect_to(access, client, "http://localhost", *socket);
    // Caches are kept by project, as on Depot: the same folder names the same one.
    DEPOT_ASSIGN(access.project, depotapi::resolve_project(resolve));
    // The local builder trusts the owner of its socket, not tokens; one is sent because the API
    // has one. A build is another matter: who joins one needs its token.
    std::string given;
    if (options.by_build_token)
      given =
          resolve.token.empty() ? defaults.environment.get_or("DEPOT_TOKEN", "") : resolve.token;
    access.token = given.empty() ? base::Secret("local") : base::Secret::take(std::move(given));
  } else {
    DEPOT_ASSIGN(std::string url,
                 depotapi::resolve_api_url(defaults.api_url, defaults.environment));
    connect_to(access, client, url, "");
    resolve.http = access.http;
    depotapi::CallOptions call;
    call.cancel = options.cancel;
    // A third of the time is kept for what is asked then, however long a CI's token takes.
    call.timeout = std::max(left() - options.timeout / 3, std::chrono::milliseconds(1));
    DEPOT_ASSIGN(access.token, depotapi::resolve_token(resolve, call));
    DEPOT_ASSIGN(access.project, depotapi::resolve_project(resolve));
  }
  access.left = std::max(left(), std::chrono::milliseconds(1));
  return access;
}

}  // namespace depot::machine

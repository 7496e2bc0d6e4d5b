// Which Docker Engine the docker client of this user would talk to.
#include <nlohmann/json.hpp>

#include "base/small_file.h"
#include "buildkit/address.h"

namespace depot::buildkit {
namespace {

using base::Code;
using base::Environment;
using base::Hop;
using base::Result;
using base::Status;

constexpr char kDefaultSocket[] = "unix:///var/run/docker.sock";
constexpr size_t kMaxConfig = 4 << 20;

// The context in use by docker's config.json, "" for none.
Result<std::string> current_context(const Environment& environment) {
  std::string folder = environment.get_or("DOCKER_CONFIG", "");
  if (folder.empty()) {
    std::string home = environment.get_or("HOME", "");
    if (home.empty()) return std::string();
    folder = home + "/.docker";
  }
  std::string path = folder + "/config.json";
  auto file = base::read_small_file(path, kMaxConfig);
  if (!file.ok()) {
    if (file.status().code() == Code::kNotFound) return std::string();
    return file.status();
  }
  auto text = file->reveal();
  auto json = nlohmann::json::parse(text.begin(), text.end(), nullptr, false);
  if (json.is_discarded() && !text.empty())
    return Status(Code::kDataLoss, Hop::kLocal, path + " is not JSON");
  if (!json.is_object()) return std::string();
  auto it = json.find("currentContext");
  return it != json.end() && it->is_string() ? it->get<std::string>() : std::string();
}

// $DOCKER_HOST, its short forms written out.
std::string whole_host(std::string host, const Environment& environment) {
  if (host == "unix://") return kDefaultSocket;
  if (host.find("://") == std::string::npos) host.insert(0, "tcp://");
  if (!host.starts_with("tcp://")) return host;
  if (host.back() == '/') host.pop_back();
  size_t colon = host.rfind(':');
  bool port = colon > 5 && host.find(']', colon) == std::string::npos;
  if (!port) host += docker_tls(environment) ? ":2376" : ":2375";
  return host;
}

}  // namespace

bool docker_tls(const Environment& environment) {
  return !environment.get_or("DOCKER_TLS_VERIFY", "").empty();
}

Result<std::string> resolve_address(const std::string& text, const Environment& environment) {
  if (text != "docker" && text != "docker://") return text;
  if (auto host = environment.get_or("DOCKER_HOST", ""); !host.empty()) {
    std::string address = "docker://" + whole_host(host, environment);
    if (Status status = parse_address(address).status(); !status.ok())
      return status.with_prefix("DOCKER_HOST");
    return address;
  }
  std::string context = environment.get_or("DOCKER_CONTEXT", "");
  if (context.empty()) {
    DEPOT_ASSIGN(context, current_context(environment));
  }
  if (context.empty() || context == "default") return "docker://" + std::string(kDefaultSocket);
  // Where a context leads, and with which keys, the docker client knows.
  std::string address = "docker://?context=" + context;
  if (Status status = parse_address(address).status(); !status.ok())
    return status.with_prefix("docker's context");
  return address;
}

}  // namespace depot::buildkit

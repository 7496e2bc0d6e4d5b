#include "registry/proxies.h"

#include <utility>

#include "base/small_file.h"
#include "registry/docker_config.h"
#include "registry/json_text.h"

namespace depot::registry {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;
using nlohmann::json;

namespace {

constexpr size_t kMaxFile = 4 << 20;
constexpr size_t kMaxProxy = 4096;
constexpr char kDefaultHost[] = "unix:///var/run/docker.sock";
constexpr std::pair<const char*, const char*> kNames[] = {{"httpProxy", "HTTP_PROXY"},
                                                          {"httpsProxy", "HTTPS_PROXY"},
                                                          {"noProxy", "NO_PROXY"},
                                                          {"ftpProxy", "FTP_PROXY"}};

Result<std::map<std::string, std::string>> read(std::string_view text, const std::string& host) {
  std::map<std::string, std::string> out;
  if (text.find_first_not_of(" \t\r\n") == std::string_view::npos) return out;
  DEPOT_ASSIGN(JsonDocument document,
               JsonDocument::parse(text, Code::kInvalidArgument, Hop::kRegistry));
  if (!document.root().is_object()) return out;
  const json* all = member(document.root(), "proxies");
  if (all == nullptr || !all->is_object()) return out;
  auto of = all->find(host);
  if (of == all->end()) of = all->find("default");
  if (of == all->end() || !of->is_object()) return out;
  for (const auto& [field, variable] : kNames) {
    const json* value = member(*of, field);
    if (value == nullptr || !value->is_string()) continue;
    const auto& proxy = value->get_ref<const std::string&>();
    if (!proxy.empty() && proxy.size() <= kMaxProxy) out.emplace(variable, proxy);
  }
  return out;
}

}  // namespace

Result<std::map<std::string, std::string>> docker_proxies(const base::Environment& environment,
                                                          const std::string& home) {
  std::string folder = DockerConfig::directory(environment, home);
  if (folder.empty()) return std::map<std::string, std::string>();
  std::string path = folder + "/config.json";
  Result<base::Secret> text = base::read_small_file(path, kMaxFile);
  if (!text.ok()) {
    if (text.status().code() == Code::kNotFound) return std::map<std::string, std::string>();
    return text.status();
  }
  auto out = read(text->reveal(), environment.get_or("DOCKER_HOST", kDefaultHost));
  if (!out.ok()) return out.status().with_prefix(path);
  return out;
}

}  // namespace depot::registry

#include "solve/attributes.h"

#include <arpa/inet.h>

#include <algorithm>
#include <charconv>

#include "solve/call.h"
#include "solve/csv.h"
#include "solve/limits.h"
#include "solve/platform.h"

namespace depot::solve {

using base::Code;
using base::Hop;
using base::Status;
using base::usage_error;

namespace {

constexpr char kGateway[] = "host-gateway";
// The label of a worker that has its address.
constexpr char kGatewayLabel[] = "org.mobyproject.buildkit.worker.moby.host-gateway-ip";
// In place of an attestation's attributes: it was asked not to be made.
constexpr char kRefused[] = "disabled=true";
constexpr size_t kMostOfAKind = 10000;

std::string short_of(const std::string& text) {
  return "'" + text.substr(0, 100) + "'";
}

bool is_ip(const std::string& text) {
  unsigned char buffer[sizeof(in6_addr)];
  return ::inet_pton(AF_INET, text.c_str(), buffer) == 1 ||
         ::inet_pton(AF_INET6, text.c_str(), buffer) == 1;
}

// As Go's ParseBool; nothing for what is neither.
std::optional<bool> go_bool(const std::string& text) {
  constexpr std::string_view kTrue[] = {"1", "t", "T", "true", "TRUE", "True"};
  constexpr std::string_view kFalse[] = {"0", "f", "F", "false", "FALSE", "False"};
  if (std::find(std::begin(kTrue), std::end(kTrue), text) != std::end(kTrue)) return true;
  if (std::find(std::begin(kFalse), std::end(kFalse), text) != std::end(kFalse)) return false;
  return std::nullopt;
}

std::string join(const std::vector<std::string>& parts) {
  std::string out;
  for (const auto& part : parts) out += (out.empty() ? "" : ",") + part;
  return out;
}

// Seconds since 1970, or the name of a stage or context that they are taken from.
Status check_epoch(const std::string& value) {
  if (value.empty() || !(value[0] == '-' || (value[0] >= '0' && value[0] <= '9'))) return {};
  int64_t seconds = 0;
  auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), seconds);
  if (error == std::errc() && end == value.data() + value.size() && seconds >= 0) return {};
  return usage_error("SOURCE_DATE_EPOCH " + short_of(value) + " is not a number of seconds")
      .with_hint("it is seconds since 1970, as `date +%s` prints them");
}

Status entitlement_error(const std::string& text) {
  return usage_error("unknown entitlement " + short_of(text))
      .with_hint("network.host, security.insecure, or device[=NAME[,alias=OTHER]]");
}

// One quoted field of a CSV line, when it has to be quoted.
std::string csv_field(const std::string& text) {
  if (text.find_first_of("\",\r\n") == std::string::npos) return text;
  std::string out = "\"";
  for (char c : text) out += c == '"' ? std::string("\"\"") : std::string(1, c);
  return out + "\"";
}

}  // namespace

Status set_attr(Request& request, const std::string& key, const std::string& value) {
  if (key.empty() || key.size() > 4096) return usage_error("a frontend attribute needs a name");
  request.attrs[key] = value;
  return {};
}

Status set_build_arg(Request& request, const std::string& name, const std::string& value) {
  if (name.empty()) return usage_error("a build argument needs a name");
  if (name.find('=') != std::string::npos)
    return usage_error("build argument " + short_of(name) + ": a name has no '='");
  if (name == "SOURCE_DATE_EPOCH") DEPOT_TRY(check_epoch(value));
  if (name == "BUILDKIT_SYNTAX" && value.find_first_not_of(" \t\r\n") == std::string::npos)
    return usage_error("BUILDKIT_SYNTAX is empty")
        .with_hint("give an image, or leave it out for the builder's own frontend");
  return set_attr(request, "build-arg:" + name, value);
}

Status set_label(Request& request, const std::string& key, const std::string& value) {
  if (key.empty()) return usage_error("a label needs a name");
  return set_attr(request, "label:" + key, value);
}

Status set_platform(Request& request, const std::string& list) {
  if (list.empty()) return usage_error("the platform is empty");
  DEPOT_ASSIGN(request.attrs["platform"], canonical_platforms(list));
  return {};
}

Status add_no_cache_filter(Request& request, const std::string& stages) {
  for (size_t start = 0; start <= stages.size();) {
    size_t end = std::min(stages.find(',', start), stages.size());
    std::string stage = stages.substr(start, end - start);
    if (stage.empty()) return usage_error("a stage that is not to be cached has no name");
    request.no_cache_filter.push_back(stage);
    start = end + 1;
  }
  return {};
}

void set_pull(Request& request, bool pull) {
  if (pull)
    request.attrs["image-resolve-mode"] = "pull";
  else
    request.attrs.erase("image-resolve-mode");
}

Status add_host(Request& request, const std::string& spec) {
  auto bad = [&](const std::string& why) {
    return usage_error("host " + short_of(spec) + ": " + why)
        .with_hint("write HOST:IP, as in db:10.0.0.7, db:[::1] or db:host-gateway");
  };
  DEPOT_ASSIGN(auto fields, parse_csv(spec));
  std::string host;
  std::vector<HostMapping> added;
  for (const auto& field : fields) {
    std::string ip = field;
    // "db=10.0.0.7,10.0.0.8": further addresses of the same host.
    if (host.empty() || !is_ip(field)) {
      size_t cut = field.find('=');
      if (cut == std::string::npos) cut = field.find(':');
      if (cut == std::string::npos || cut == 0) return bad("it is not HOST:IP");
      host = field.substr(0, cut);
      ip = field.substr(cut + 1);
      if (host.find_first_of("\",:= \t\r\n") != std::string::npos)
        return bad("that is no name of a host");
    }
    if (ip.size() > 2 && ip.front() == '[' && ip.back() == ']') ip = ip.substr(1, ip.size() - 2);
    if (ip != kGateway && !is_ip(ip)) return bad(short_of(ip) + " is not an address");
    added.push_back({host, ip});
  }
  if (request.hosts.size() + added.size() > kMostOfAKind) return bad("there are too many");
  request.hosts.insert(request.hosts.end(), added.begin(), added.end());
  return {};
}

Status set_network(Request& request, const std::string& mode) {
  if (mode.empty() || mode == "default") {
    request.attrs.erase("force-network-mode");
  } else if (mode == "host" || mode == "none") {
    request.attrs["force-network-mode"] = mode;
  } else {
    return usage_error("network mode " + short_of(mode) + " is none of a build's")
        .with_hint("default, none or host; a network of one's own is the builder's to set up");
  }
  return {};
}

Status set_shm_size(Request& request, const std::string& size) {
  auto bytes = parse_size(size);
  if (!bytes.ok()) return bytes.status().with_prefix("shm size");
  if (*bytes > 0)
    request.attrs["shm-size"] = std::to_string(*bytes);
  else
    request.attrs.erase("shm-size");
  return {};
}

Status add_ulimit(Request& request, const std::string& spec) {
  DEPOT_ASSIGN(auto limit, parse_ulimit(spec));
  request.ulimits[limit.first] = limit.second;
  return {};
}

Status add_resource(Request& request, const std::string& spec) {
  DEPOT_ASSIGN(auto limit, parse_resource(spec));
  if (limit.second.empty())
    request.attrs.erase(limit.first);
  else
    request.attrs[limit.first] = limit.second;
  return {};
}

Status set_cgroup_parent(Request& request, const std::string& name) {
  if (name.empty())
    request.attrs.erase("cgroup-parent");
  else
    request.attrs["cgroup-parent"] = name;
  return {};
}

Status add_entitlement(Request& request, const std::string& entitlement) {
  size_t equals = entitlement.find('=');
  std::string name = entitlement.substr(0, equals);
  if (name == "device" && equals != std::string::npos) {
    auto fields = parse_csv(entitlement.substr(equals + 1));
    if (!fields.ok()) return entitlement_error(entitlement);
    for (size_t i = 1; i < fields->size(); ++i)
      if (!(*fields)[i].starts_with("alias=")) return entitlement_error(entitlement);
  } else if (entitlement != "network.host" && entitlement != "security.insecure" &&
             entitlement != "device") {
    return entitlement_error(entitlement);
  }
  auto& all = request.entitlements;
  if (std::find(all.begin(), all.end(), entitlement) == all.end()) all.push_back(entitlement);
  return {};
}

Status set_annotation(Request& request, const std::string& key, const std::string& value) {
  auto bad = [&](const std::string& why) {
    return usage_error("annotation " + short_of(key) + ": " + why)
        .with_hint(
            "write [LEVEL[,LEVEL]:]KEY=VALUE; a level is manifest, index, "
            "manifest-descriptor or index-descriptor, those of a manifest for one platform "
            "perhaps: manifest[linux/amd64]:KEY=VALUE");
  };
  size_t colon = key.find(':');
  std::string levels = colon == std::string::npos ? "" : key.substr(0, colon);
  std::string name = colon == std::string::npos ? key : key.substr(colon + 1);
  if (name.empty()) return bad("it has no key");
  if (name.find_first_of(" \t\r\n\v\f") != std::string::npos) return bad("a key has no blanks");
  if (colon == std::string::npos) {
    request.annotations["annotation." + name] = value;
    return {};
  }
  for (size_t start = 0; start <= levels.size();) {
    size_t end = std::min(levels.find(',', start), levels.size());
    std::string level = levels.substr(start, end - start);
    start = end + 1;
    std::string platform;
    if (size_t open = level.find('['); open != std::string::npos) {
      if (!level.ends_with(']')) return bad("a bracket is not closed");
      std::string inside = level.substr(open + 1, level.size() - open - 2);
      level.resize(open);
      if (inside.empty() || inside.find('(') != std::string::npos)
        return bad("its platform is not valid");
      DEPOT_ASSIGN(inside, canonical_platform(inside));
      platform = "[" + inside + "]";
    }
    bool index = level == "index" || level == "index-descriptor";
    if (!index && level != "manifest" && level != "manifest-descriptor")
      return bad("there is no level " + short_of(level));
    if (index && !platform.empty()) return bad("an index has no platform");
    request.annotations["annotation-" + level + platform + "." + name] = value;
  }
  return {};
}

namespace {

Status keep_attestation(Request& request, const std::string& type, const std::string& value) {
  if (type != "sbom" && type != "provenance")
    return usage_error("unknown attestation " + short_of(type)).with_hint("sbom or provenance");
  if (!request.attestations.emplace(type, value).second)
    return usage_error("attestation '" + type + "' is given twice")
        .with_hint("--sbom and --provenance are short for --attest type=...");
  return {};
}

}  // namespace

Status add_attest(Request& request, const std::string& spec) {
  auto bad = [&](const std::string& why) {
    return usage_error("attestation " + short_of(spec) + ": " + why)
        .with_hint("write type=sbom or type=provenance, and key=value after a comma");
  };
  DEPOT_ASSIGN(auto fields, parse_csv(spec));
  std::string type, attributes;
  bool refused = false;
  for (const auto& field : fields) {
    size_t equals = field.find('=');
    if (equals == std::string::npos) return bad(short_of(field) + " is not key=value");
    std::string key = field.substr(0, equals);
    std::string value = field.substr(equals + 1);
    if (key == "type") {
      type = value;
    } else if (key == "disabled") {
      auto yes = go_bool(value);
      if (!yes) return bad("disabled is true or false");
      refused = *yes;
    } else {
      attributes += (attributes.empty() ? "" : ",") + csv_field(field);
    }
  }
  if (type.empty()) return bad("it has no type");
  return keep_attestation(request, type, refused ? kRefused : attributes);
}

Status set_attestation(Request& request, const std::string& type, const std::string& value) {
  auto yes = go_bool(value);
  if (value.empty() || (yes && *yes)) return keep_attestation(request, type, "");
  if (yes) return keep_attestation(request, type, kRefused);
  return add_attest(request, "type=" + type + "," + value);
}

Status apply_attributes(Request& request) {
  auto& attrs = request.attrs;
  if (!request.no_cache_filter.empty()) {
    if (attrs.contains("no-cache"))
      return usage_error("either no step is cached, or those of some stages: not both")
          .with_hint("--no-cache and --no-cache-filter exclude each other");
    attrs["no-cache"] = join(request.no_cache_filter);
  }
  if (!request.ulimits.empty()) {
    std::vector<std::string> limits;
    for (const auto& [name, limit] : request.ulimits) limits.push_back(name + "=" + limit);
    attrs["ulimit"] = join(limits);
  }
  for (const auto& [type, value] : request.attestations)
    if (value != kRefused) attrs["attest:" + type] = value;
  if (request.default_attestations && !request.attestations.contains("provenance"))
    attrs.emplace("attest:provenance", "mode=min,inline-only=true");
  if (auto mode = attrs.find("force-network-mode"); mode != attrs.end() && mode->second == "host")
    DEPOT_TRY(add_entitlement(request, "network.host"));
  if (auto several = attrs.find("build-arg:BUILDKIT_MULTI_PLATFORM"); several != attrs.end())
    if (go_bool(several->second).value_or(false)) attrs["multi-platform"] = "true";
  if (auto syntax = attrs.find("build-arg:BUILDKIT_SYNTAX"); syntax != attrs.end()) {
    // The frontend is an image then, and is told the whole line that names it.
    std::string line = syntax->second;
    line.erase(0, line.find_first_not_of(" \t\r\n"));
    request.frontend = "gateway.v0";
    attrs["source"] = line.substr(0, line.find_first_of(" \t\r\n"));
    attrs["cmdline"] = syntax->second;
  }
  if (request.frontend == "gateway.v0" && !attrs.contains("source"))
    return usage_error("frontend gateway.v0 has no image")
        .with_hint("name it by the attribute source=IMAGE");
  apply_call(request);
  for (auto& target : request.exports) {
    if (target.type != "image" && target.type != "oci" && target.type != "docker") continue;
    for (const auto& [key, value] : request.annotations) target.attrs.emplace(key, value);
  }
  if (!needs_host_gateway(request)) return resolve_hosts(request, "");
  return {};
}

bool needs_host_gateway(const Request& request) {
  return std::any_of(request.hosts.begin(), request.hosts.end(),
                     [](const HostMapping& one) { return one.ip == kGateway; });
}

std::string host_gateway(const std::vector<buildkit::Worker>& workers) {
  for (const auto& worker : workers) {
    auto label = worker.labels.find(kGatewayLabel);
    if (label != worker.labels.end()) return label->second;
  }
  return "";
}

Status resolve_hosts(Request& request, const std::string& gateway) {
  std::vector<std::string> hosts;
  for (const auto& [host, ip] : request.hosts) {
    if (ip == kGateway && !is_ip(gateway)) {
      return Status(Code::kFailedPrecondition, Hop::kMachine,
                    "this builder does not tell which address host-gateway is, for host '" + host +
                        "'")
          .with_hint("give the address, or have the builder's worker say it by the label " +
                     std::string(kGatewayLabel));
    }
    hosts.push_back(host + "=" + (ip == kGateway ? gateway : ip));
  }
  if (!hosts.empty()) request.attrs["add-hosts"] = join(hosts);
  return {};
}

}  // namespace depot::solve

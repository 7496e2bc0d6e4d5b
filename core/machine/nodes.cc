#include "machine/nodes.h"

#include <sys/utsname.h>

#include <algorithm>
#include <charconv>
#include <string_view>

#include "buildkit/address.h"
#include "solve/platform.h"

namespace depot::machine {
namespace {

using base::Result;
using base::usage_error;

std::vector<std::string> split(const std::string& text) {
  std::vector<std::string> out;
  for (size_t start = 0; start <= text.size();) {
    size_t end = std::min(text.find(',', start), text.size());
    out.push_back(text.substr(start, end - start));
    start = end + 1;
  }
  return out;
}

int number_of(std::string_view text) {
  int number = 0;
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  return error == std::errc() && end == text.data() + text.size() ? number : -1;
}

// What a machine of `platform` runs, best first (containerd's platforms.Only).
std::vector<std::string> also_runs(const std::string& platform) {
  std::vector<std::string> out;
  size_t first = platform.find('/');
  std::string system = platform.substr(0, first) + "/";
  std::string rest = first == std::string::npos ? "" : platform.substr(first + 1);
  std::string architecture = rest.substr(0, rest.find('/'));
  std::string variant =
      rest.size() > architecture.size() ? rest.substr(architecture.size() + 1) : "";
  auto arm = [&](int version) {
    for (; version >= 5; --version) out.push_back(system + "arm/v" + std::to_string(version));
  };
  if (architecture == "amd64") {
    int version = variant.starts_with('v') ? number_of(variant.substr(1)) : 1;
    for (; version > 1; --version) out.push_back(system + "amd64/v" + std::to_string(version));
    out.push_back(system + "amd64");
    out.push_back(system + "386");
  } else if (architecture == "arm64") {
    // v9.x runs v8.(x+5).
    size_t dot = variant.find('.');
    std::string major = variant.substr(0, dot);
    int minor = dot == std::string::npos ? 0 : number_of(variant.substr(dot + 1));
    auto down = [&](const std::string& name, int from) {
      for (; from > 0; --from) out.push_back(system + "arm64/" + name + "." + std::to_string(from));
      out.push_back(system + "arm64" + (name == "v8" ? "" : "/" + name));
    };
    if (major == "v9") down("v9", minor);
    down("v8", major == "v9" ? minor + 5 : minor);
    arm(8);
  } else if (architecture == "arm" && variant.starts_with('v')) {
    arm(number_of(variant.substr(1)));
  }
  if (out.empty()) out.push_back(platform);
  return out;
}

void give(std::vector<Share>& shares, size_t node, const std::string& platform) {
  auto known = std::find_if(shares.begin(), shares.end(),
                            [&](const Share& share) { return share.node == node; });
  if (known == shares.end())
    shares.push_back({node, {platform}});
  else
    known->platforms.push_back(platform);
}

}  // namespace

Result<Node> parse_node(const std::string& spec, const base::Environment& environment) {
  auto fields = split(spec);
  Node node;
  DEPOT_ASSIGN(node.name, buildkit::resolve_address(fields[0], environment));
  DEPOT_TRY(buildkit::parse_address(node.name).status());
  for (size_t i = 1; i < fields.size(); ++i) {
    std::string field = fields[i];
    constexpr std::string_view kKey = "platform=";
    if (field.starts_with(kKey))
      field.erase(0, kKey.size());
    else if (i == 1 || field.find('=') != std::string::npos)
      return usage_error("builder '" + fields[0] + "': '" + field + "' is not platform=PLATFORM")
          .with_hint("as tcp://host:port,platform=linux/arm64");
    DEPOT_ASSIGN(std::string platform, solve::canonical_platform(field));
    if (std::find(node.platforms.begin(), node.platforms.end(), platform) == node.platforms.end())
      node.platforms.push_back(std::move(platform));
  }
  return node;
}

std::vector<Node> api_nodes() {
  std::vector<Node> nodes = {
      {"amd64", {"linux/amd64", "linux/amd64/v2", "linux/amd64/v3", "linux/386"}},
      {"arm64", {"linux/arm64", "linux/arm/v8", "linux/arm/v7", "linux/arm/v6"}}};
  utsname name{};
  uname(&name);
  if (std::string_view(name.machine) == "aarch64") std::swap(nodes[0], nodes[1]);
  return nodes;
}

std::optional<std::vector<Share>> assign(const std::vector<Node>& nodes,
                                         const std::vector<std::string>& platforms) {
  std::vector<Share> shares;
  for (const auto& platform : platforms) {
    auto node = std::find_if(nodes.begin(), nodes.end(), [&](const Node& one) {
      return std::find(one.platforms.begin(), one.platforms.end(), platform) != one.platforms.end();
    });
    if (node == nodes.end()) return std::nullopt;
    give(shares, static_cast<size_t>(node - nodes.begin()), platform);
  }
  return shares;
}

std::vector<Share> assign_somehow(const std::vector<Node>& nodes,
                                  const std::vector<std::string>& platforms) {
  std::vector<Share> shares;
  for (const auto& platform : platforms) {
    // The better node runs it more nearly as its own; of equals the first.
    std::optional<size_t> best;
    std::string best_platform;
    for (size_t i = 0; i < nodes.size(); ++i) {
      for (const auto& own : nodes[i].platforms) {
        auto runs = also_runs(own);
        auto at = std::find(runs.begin(), runs.end(), platform);
        if (at == runs.end()) continue;
        if (best && std::find(runs.begin(), at + 1, best_platform) != at + 1) continue;
        best = i;
        best_platform = own;
      }
    }
    give(shares, best.value_or(0), platform);
  }
  return shares;
}

}  // namespace depot::machine

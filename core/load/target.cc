#include "load/target.h"

#include <algorithm>
#include <cctype>

#include "buildkit/address.h"

namespace depot::load {
namespace {

using base::Result;
using base::Status;
using base::usage_error;

Status bad(const std::string& into) {
  return usage_error("an image cannot be loaded into '" + into + "'")
      .with_hint("into is docker, docker://HOST, podman, nerdctl[:NAMESPACE] or ctr[:NAMESPACE]");
}

// What no program takes for an option.
bool is_namespace(const std::string& text) {
  return !text.empty() && text.size() <= 76 && text.front() != '-' &&
         std::all_of(text.begin(), text.end(), [](unsigned char c) {
           return std::isalnum(c) || c == '-' || c == '.' || c == '_';
         });
}

}  // namespace

Result<Target> parse_target(const std::string& into, const std::string& context,
                            const base::Environment& environment) {
  Target target;
  target.named = !into.empty() || !context.empty();
  const bool docker = into.empty() || into == "docker" || into.starts_with("docker://");
  if (!context.empty() && (!docker || into.starts_with("docker://")))
    return usage_error("a docker context goes with into=docker alone, not with into=" + into);
  if (docker) {
    std::string address = context.empty() ? into : "docker://?context=" + context;
    if (address.empty()) address = "docker";
    target.name = "docker";
    DEPOT_ASSIGN(target.engine, buildkit::resolve_address(address, environment));
    DEPOT_TRY(buildkit::parse_address(target.engine).status());
    return target;
  }
  size_t colon = into.find(':');
  target.name = into.substr(0, colon);
  std::string space = colon == std::string::npos ? "" : into.substr(colon + 1);
  if (colon != std::string::npos && !is_namespace(space)) return bad(into);
  std::vector<std::string> options;
  if (!space.empty()) options.push_back("--namespace=" + space);
  if (target.name == "podman" && space.empty())
    target.command = {"podman", "load"};
  else if (target.name == "nerdctl")
    target.command = {"nerdctl", "load"};
  else if (target.name == "ctr")
    target.command = {"ctr", "images", "import", "-"};
  else
    return bad(into);
  target.command.insert(target.command.begin() + 1, options.begin(), options.end());
  return target;
}

}  // namespace depot::load

#include "machine/pull.h"

#include <moby/buildkit/v1/control.pb.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "load/pull.h"
#include "machine/save.h"
#include "solve/events.h"
#include "solve/step.h"

namespace depot::machine {
namespace {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;
using Clock = std::chrono::steady_clock;

// For one answer of the API; the images have the rest.
constexpr std::chrono::milliseconds kAnswer{30000};
constexpr std::chrono::hours kPull{1};

struct Images {
  depotapi::PullInfo login;  // without its targets
  std::vector<Pulled> images;
};

// "PROJECT:TAG", with or without the registry before it.
Result<Images> of_project(const Client& client, std::string what, BuildsOptions options) {
  const std::string registry = std::string(kDepotRegistry) + "/";
  if (what.starts_with(registry)) what.erase(0, registry.size());
  const size_t colon = what.find(':');
  options.project = what.substr(0, colon);
  DEPOT_TRY(solve::check_tag(what.substr(colon + 1)));
  Images found;
  DEPOT_ASSIGN(found.login, pull_token(client, options));
  found.images.push_back({registry + what, {}});
  return found;
}

Result<Images> of_build(const Client& client, const std::string& build_id,
                        const PullOptions& options, const BuildsOptions& api) {
  Images found;
  DEPOT_ASSIGN(found.login, pull_info(client, build_id, api));
  const auto targets = std::exchange(found.login.targets, {});
  std::string known;
  std::vector<std::string> wanted = options.targets;
  for (const auto& target : targets) {
    known += (known.empty() ? "" : ", ") + target.name;
    auto asked = std::find(wanted.begin(), wanted.end(), target.name);
    if (!options.targets.empty() && asked == wanted.end()) continue;
    if (asked != wanted.end()) wanted.erase(asked);
    Pulled& image = found.images.emplace_back();
    image.reference = found.login.reference + (target.name.empty() ? "" : "-" + target.name);
    image.tags = target.tags;
    if (options.tags.empty()) continue;
    image.tags = options.tags;
    // One name for several images would be the last one's.
    for (auto& tag : image.tags) tag += target.name.empty() ? "" : "-" + target.name;
  }
  if (!wanted.empty()) {
    return base::usage_error("build " + build_id + " has no target '" + wanted.front() + "'")
        .with_hint(known.empty() ? "it is no bake" : "it has " + known);
  }
  if (targets.empty()) found.images.push_back({found.login.reference, options.tags});
  return found;
}

Status pull_one(const Client& client, const load::Target& target, const Images& from,
                const Pulled& image, const PullOptions& options, Clock::time_point deadline) {
  // The consumer's answer ends what is under way.
  base::Cancel either = options.api.cancel.child();
  int32_t refused = 0;
  solve::Step step("pulling " + image.reference, "pulling layer ", [&](const std::string& bytes) {
    ::moby::buildkit::v1::StatusResponse batch;
    if (!options.on_status || refused != 0 || !batch.ParseFromString(bytes)) return;
    try {
      refused = options.on_status({batch, bytes, {}});
    } catch (...) {
      refused = 1;
    }
    if (refused != 0) either.trigger();
  });
  load::Options engine;
  engine.environment = client.options().environment;
  engine.allow_plaintext = client.options().allow_plaintext;
  engine.on_progress = [&](const load::Progress& progress) { step.progress(progress); };
  load::Pull what;
  what.reference = image.reference;
  what.username = from.login.username;
  what.password = from.login.password;
  what.platform = options.platform;
  what.tags = image.tags;
  step.begin();
  Status status = load::pull(target, engine, what, either, deadline);
  step.end(status);
  return refused != 0 ? solve::callback_error("status", refused) : status;
}

}  // namespace

Result<std::vector<Pulled>> pull(const Client& client, const std::string& what,
                                 const PullOptions& options) {
  const auto limit =
      options.api.timeout.count() > 0 ? options.api.timeout : std::chrono::milliseconds(kPull);
  const auto deadline = Clock::now() + limit;
  BuildsOptions api = options.api;
  api.timeout = std::min(limit, kAnswer);
  DEPOT_ASSIGN(load::Target target,
               load::parse_target(options.into, "", client.options().environment));
  PullOptions checked = options;
  for (auto& tag : checked.tags) {
    DEPOT_ASSIGN(tag, solve::canonical_name(tag));
  }
  const bool by_tag = what.find(':') != std::string::npos;
  if (by_tag && !options.targets.empty())
    return base::usage_error("targets are those of a build, not of a tag");
  DEPOT_ASSIGN(Images from,
               by_tag ? of_project(client, what, api) : of_build(client, what, checked, api));
  for (auto& image : from.images) {
    DEPOT_ASSIGN(image.reference, solve::canonical_name(image.reference));
    if (by_tag) image.tags = checked.tags;
    // As the API has them of the build.
    for (auto& tag : image.tags) {
      DEPOT_ASSIGN(tag, solve::canonical_name(tag));
    }
  }
  for (const auto& image : from.images)
    DEPOT_TRY(pull_one(client, target, from, image, checked, deadline));
  return std::move(from.images);
}

}  // namespace depot::machine

// Which of an image's layers a Docker Engine has: those that some image of its begins with, too.
#include "load/present.h"

#include <algorithm>
#include <nlohmann/json.hpp>

#include "load/engine_api.h"

namespace depot::load {
namespace {

using base::Result;
using base::Status;
using nlohmann::json;

constexpr size_t kMaxList = 32 << 20;
constexpr size_t kMaxImage = 4 << 20;
// Looked at, the newest first: each is a round trip.
constexpr size_t kMostImages = 200;

// How many layers both begin with.
size_t common(const Image& image, const std::string& inspected) {
  auto object = json::parse(inspected, nullptr, false);
  if (!object.is_object() || !object.contains("RootFS") || !object["RootFS"].is_object()) return 0;
  const auto& theirs = object["RootFS"]["Layers"];
  if (!theirs.is_array()) return 0;
  size_t count = 0;
  while (count < image.layers.size() && count < theirs.size() &&
         theirs[count] == image.layers[count].diff_id)
    ++count;
  return count;
}

}  // namespace

Result<size_t> layers_present(const Target& target, const Options& options, const Image& image,
                              const std::vector<std::string>& names, const base::Cancel& cancel,
                              std::chrono::steady_clock::time_point deadline) {
  DEPOT_ASSIGN(auto api, EngineApi::connect(target, options, cancel, deadline));
  size_t most = 0;
  auto look_at = [&](const std::string& name) -> Status {
    auto inspected = api->get("/images/" + name + "/json", kMaxImage);
    if (inspected.status().code() == base::Code::kNotFound) return {};
    DEPOT_TRY(inspected.status());
    most = std::max(most, common(image, *inspected));
    return {};
  };
  // What is loaded now has most in common with what was under its name, or is that.
  DEPOT_TRY(look_at(image.config_digest));
  for (const auto& name : names) {
    if (most == image.layers.size()) return most;
    DEPOT_TRY(look_at(name));
  }
  if (most == image.layers.size()) return most;
  DEPOT_ASSIGN(auto list, api->get("/images/json", kMaxList));
  auto images = json::parse(list, nullptr, false);
  if (!images.is_array()) return most;
  size_t looked = 0;
  for (const auto& one : images) {
    if (most == image.layers.size() || looked == kMostImages) break;
    if (!one.is_object() || !one.contains("Id") || !one["Id"].is_string()) continue;
    std::string id = one["Id"].get<std::string>();
    if (id.size() > 200 || id.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789:") != id.npos)
      continue;
    ++looked;
    DEPOT_TRY(look_at(id));
  }
  return most;
}

}  // namespace depot::load

#include "solve/result.h"

#include <algorithm>
#include <nlohmann/json.hpp>
#include <utility>

#include "base/base64.h"
#include "base/json_depth.h"
#include "solve/go_json.h"

namespace depot::solve {
namespace {

using Json = nlohmann::ordered_json;  // an embedded object keeps the order the builder gave it

}  // namespace

const std::string& value_of(const Response& response, const std::string& key) {
  static const std::string* const kEmpty = new std::string;
  auto it = response.find(key);
  return it == response.end() ? *kEmpty : it->second;
}

std::string descriptor_of(const Response& response) {
  return base::base64_decode(value_of(response, "containerimage.descriptor")).value_or("");
}

std::string metadata_json(const Response& response) {
  Json all = Json::object();
  for (const auto& [key, value] : response) {
    // A call's answer is JSON as it is.
    bool is_json = key == "result.json";
    auto decoded = is_json ? value : base::base64_decode(value).value_or("");
    if (base::json_is_shallow(decoded)) {
      Json object = Json::parse(decoded, nullptr, /*allow_exceptions=*/false);
      bool of_objects = object.is_array() &&
                        std::all_of(object.begin(), object.end(),
                                    [](auto& one) { return one.is_object() || one.is_null(); });
      bool kept = object.is_object() || of_objects || (is_json && object.is_array());
      if (kept && !object.empty()) {  // an empty one stays as it came: so do Go's
        all[key] = std::move(object);
        continue;
      }
    }
    all[key] = value;
  }
  return escape_html(all.dump(2, ' ', false, Json::error_handler_t::replace));
}

void add_depot_build(Response& response, const std::string& build_id, const std::string& project) {
  Json build = {{"buildID", build_id}, {"projectID", project}};
  response[kDepotBuild] =
      base::base64_encode(build.dump(-1, ' ', false, Json::error_handler_t::replace));
}

std::vector<SentFile> sent_files(const std::vector<session::SyncTotals>& synced) {
  std::map<std::pair<std::string, std::string>, filesync::SentFile> files;
  for (const auto& one : synced) {
    for (const auto& file : one.sent) {
      auto& merged = files[{one.dir_name, file.path}];
      bool before = merged.transferred;
      merged = file;
      merged.transferred |= before;
    }
  }
  std::vector<SentFile> out;
  out.reserve(files.size());
  for (auto& [where, file] : files) out.push_back({where.first, std::move(file)});
  return out;
}

}  // namespace depot::solve

#include "solve/call.h"
#include "base/base64.h"
#include "base/json_depth.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <nlohmann/json.hpp>
#include <utility>

namespace depot::solve {
namespace {

using base::Code;
using base::Hop;
using base::Result;
using base::Status;
using nlohmann::json;

constexpr size_t kMostEntries = 100000;

std::string text_of(const json& object, const char* name) {
  auto found = object.find(name);
  if (found == object.end() || !found->is_string()) return "";
  return found->get_ref<const std::string&>();
}

bool flag_of(const json& object, const char* name) {
  auto found = object.find(name);
  return found != object.end() && found->is_boolean() && found->get<bool>();
}

int32_t number_of(const json& object, const char* name) {
  auto found = object.find(name);
  if (found == object.end() || !found->is_number_integer()) return 0;
  int64_t value = found->get<int64_t>();
  return static_cast<int32_t>(std::clamp<int64_t>(value, INT32_MIN, INT32_MAX));
}

// The objects of a list; null and what is missing are an empty one.
std::vector<const json*> objects_of(const json& object, const char* name) {
  std::vector<const json*> out;
  auto found = object.find(name);
  if (found == object.end() || !found->is_array()) return out;
  for (const auto& one : *found)
    if (one.is_object() && out.size() < kMostEntries) out.push_back(&one);
  return out;
}

// The source files of an answer: of a lint's with names and text, of the others' neither matters.
struct Sources {
  std::vector<base::SourceLocation> all;

  explicit Sources(const json& root) {
    for (const json* one : objects_of(root, "sources")) {
      base::SourceLocation& source = all.emplace_back();
      source.filename = text_of(*one, "filename");
      source.language = text_of(*one, "language");
      source.data = base::base64_decode(text_of(*one, "data")).value_or("");
    }
  }
};

Place place_of(const json& object, const Sources& sources, base::SourceLocation* whole = nullptr) {
  Place place;
  auto location = object.find("location");
  if (location == object.end() || !location->is_object()) return place;
  for (const json* range : objects_of(*location, "ranges")) {
    json start = range->value("start", json::object());
    json end = range->value("end", json::object());
    if (!start.is_object() || !end.is_object()) continue;
    place.ranges.push_back({number_of(start, "line"), number_of(start, "character"),
                            number_of(end, "line"), number_of(end, "character")});
  }
  int32_t index = number_of(*location, "sourceIndex");
  if (index < 0 || static_cast<size_t>(index) >= sources.all.size()) return place;
  const auto& source = sources.all[static_cast<size_t>(index)];
  place.file = source.filename;
  if (whole != nullptr) {
    *whole = source;
    whole->ranges = place.ranges;
  }
  return place;
}

void read_lint(const json& root, CallAnswer& answer) {
  Sources sources(root);
  for (const json* one : objects_of(root, "warnings")) {
    answer.warnings.push_back({text_of(*one, "ruleName"), text_of(*one, "description"),
                               text_of(*one, "url"), text_of(*one, "detail"),
                               place_of(*one, sources)});
  }
  auto error = root.find("buildError");
  if (error == root.end() || !error->is_object()) return;
  answer.error.emplace();
  answer.error->message = text_of(*error, "message");
  place_of(*error, sources, &answer.error->location);
}

void read_outline(const json& root, CallAnswer& answer) {
  using Kind = OutlineEntry::Kind;
  constexpr std::pair<const char*, Kind> kLists[] = {{"args", Kind::kArg},
                                                     {"secrets", Kind::kSecret},
                                                     {"ssh", Kind::kSsh},
                                                     {"cache", Kind::kCache}};
  Sources sources(root);
  answer.name = text_of(root, "name");
  answer.description = text_of(root, "description");
  for (const auto& [list, kind] : kLists) {
    for (const json* one : objects_of(root, list)) {
      answer.outline.push_back({kind, text_of(*one, kind == Kind::kCache ? "ID" : "name"),
                                text_of(*one, "description"), text_of(*one, "value"),
                                flag_of(*one, "required"), place_of(*one, sources)});
    }
  }
}

void read_targets(const json& root, CallAnswer& answer) {
  Sources sources(root);
  for (const json* one : objects_of(root, "targets")) {
    answer.targets.push_back({text_of(*one, "name"), text_of(*one, "description"),
                              text_of(*one, "base"), text_of(*one, "platform"),
                              flag_of(*one, "default"), place_of(*one, sources)});
  }
}

}  // namespace

Status set_call(Request& request, const std::string& method) {
  bool named = !method.empty() && std::all_of(method.begin(), method.end(), [](unsigned char c) {
    return std::isalnum(c) || c == '.' || c == '_' || c == '-';
  });
  if (!named) {
    return base::usage_error("call '" + method.substr(0, 100) + "' is not the name of one")
        .with_hint("build, check, outline, targets or subrequests.describe");
  }
  request.call = method == "build" ? "" : method == "check" ? "lint" : method;
  return {};
}

void apply_call(Request& request) {
  if (request.call.empty()) return;
  request.exports.clear();
  request.internal = true;
  std::string& caps = request.attrs["frontend.caps"];
  caps += (caps.empty() ? "" : ",");
  caps += "moby.buildkit.frontend.subrequests+forward";
  request.attrs["requestid"] = "frontend." + request.call;
}

Result<CallAnswer> read_answer(const std::string& method,
                               const std::map<std::string, std::string>& metadata) {
  auto value = [&](const char* key) {
    auto found = metadata.find(key);
    return found == metadata.end() ? std::string() : found->second;
  };
  CallAnswer answer;
  answer.method = method;
  answer.json = value("result.json");
  answer.text = value("result.txt");
  std::string status = value("result.statuscode");
  std::from_chars(status.data(), status.data() + status.size(), answer.status);
  bool known = method == "lint" || method == "outline" || method == "targets";
  if (!known) return answer;
  json root = base::json_is_shallow(answer.json)
                  ? json::parse(answer.json, nullptr, /*allow_exceptions=*/false)
                  : json(json::value_t::discarded);
  if (!root.is_object())
    return Status(Code::kInternal, Hop::kSolve,
                  "the frontend's answer to call '" + method + "' cannot be read");
  if (method == "lint") read_lint(root, answer);
  if (method == "outline") read_outline(root, answer);
  if (method == "targets") read_targets(root, answer);
  return answer;
}

}  // namespace depot::solve

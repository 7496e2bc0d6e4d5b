#include "content/json.h"

namespace depot::content {

std::optional<Json> parse_json(std::string_view text) {
  constexpr int kMaxDepth = 32;
  bool deep = false;
  auto callback = [&](int depth, Json::parse_event_t, Json&) {
    deep = deep || depth > kMaxDepth;
    return !deep;
  };
  Json parsed = Json::parse(text.begin(), text.end(), callback, /*allow_exceptions=*/false);
  if (deep || parsed.is_discarded()) return std::nullopt;
  return parsed;
}

std::string string_of(const Json& object, const char* name) {
  if (!object.is_object()) return "";
  auto member = object.find(name);
  return member != object.end() && member->is_string() ? member->get<std::string>() : "";
}

std::string annotation_of(const Json& object, const char* name) {
  if (!object.is_object()) return "";
  auto annotations = object.find("annotations");
  return annotations == object.end() ? "" : string_of(*annotations, name);
}

}  // namespace depot::content

#include "registry/json_text.h"

#include <strings.h>
#include <algorithm>
#include <utility>
#include <vector>

#include "base/secret.h"

namespace depot::registry {

using nlohmann::json;

base::Result<JsonDocument> JsonDocument::parse(std::string_view text, base::Code code,
                                               base::Hop hop) {
  size_t at = 0;
  try {
    return JsonDocument(json::parse(text.begin(), text.end()));
  } catch (const json::parse_error& error) {
    at = error.byte;  // its what() quotes the text, which may be a password
  } catch (const std::exception&) {
    return base::Status(code, hop, "not valid JSON");
  }
  // `byte` counts from 1 and names the last byte read.
  std::string_view before = text.substr(0, std::min(at == 0 ? 0 : at - 1, text.size()));
  size_t line = 1 + static_cast<size_t>(std::count(before.begin(), before.end(), '\n'));
  size_t start = before.rfind('\n');
  size_t column = before.size() - (start == std::string_view::npos ? 0 : start + 1) + 1;
  return base::Status(
      code, hop,
      "line " + std::to_string(line) + ", column " + std::to_string(column) + ": not valid JSON");
}

JsonDocument::~JsonDocument() {
  std::vector<json*> todo = {&root_};  // no recursion: the depth is the sender's
  while (!todo.empty()) {
    json* value = todo.back();
    todo.pop_back();
    if (value->is_string()) base::wipe(value->get_ref<std::string&>());
    if (value->is_structured()) {
      for (json& child : *value) todo.push_back(&child);
    }
  }
}

const json* member(const json& object, std::string_view name) {
  if (!object.is_object()) return nullptr;
  const json* found = nullptr;
  for (auto it = object.begin(); it != object.end(); ++it) {
    if (it.key() == name) {
      found = &*it;
      break;
    }
    if (it.key().size() == name.size() &&
        strncasecmp(it.key().data(), name.data(), name.size()) == 0) {
      found = &*it;
    }
  }
  return found == nullptr || found->is_null() ? nullptr : found;
}

std::optional<std::string_view> string_member(const json& object, std::string_view name) {
  const json* found = member(object, name);
  if (found == nullptr || !found->is_string()) return std::nullopt;
  return std::string_view(found->get_ref<const std::string&>());
}

}  // namespace depot::registry

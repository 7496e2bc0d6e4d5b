// JSON of a layout: parsed without exceptions and without depth that a stack could not take.
// Private to the module.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

namespace depot::content {

// Keeps members in their order: what others wrote into an index.json stays as it was.
using Json = nlohmann::ordered_json;

// nullopt when it is not JSON, or nested deeper than any document of OCI's.
std::optional<Json> parse_json(std::string_view text);
// A string member of an object, or "".
std::string string_of(const Json& object, const char* name);
// `object.annotations[name]`, or "".
std::string annotation_of(const Json& object, const char* name);

}  // namespace depot::content

// JSON from files, helpers and servers: parsed without exceptions, with errors that name a place
// and never quote the text, and wiped after use. Private to the module.
#pragma once

#include <nlohmann/json.hpp>
#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace depot::registry {

// A document whose strings are overwritten when it goes.
class JsonDocument {
 public:
  // The error's message: "line 3, column 14: not valid JSON". `code` and `hop` are the caller's.
  static base::Result<JsonDocument> parse(std::string_view text, base::Code code, base::Hop hop);

  JsonDocument(JsonDocument&& other) noexcept = default;
  JsonDocument& operator=(JsonDocument&&) = delete;
  ~JsonDocument();

  const nlohmann::json& root() const { return root_; }

 private:
  explicit JsonDocument(nlohmann::json root) : root_(std::move(root)) {}
  nlohmann::json root_;
};

// A member of an object by name; as in Go's decoder, a name that differs in case alone will do.
// Null for none, for null, and when `object` is no object.
const nlohmann::json* member(const nlohmann::json& object, std::string_view name);
// The same as a string; nullopt for none and for anything else than a string.
std::optional<std::string_view> string_member(const nlohmann::json& object, std::string_view name);

}  // namespace depot::registry

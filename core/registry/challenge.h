// What a registry asks for when it answers 401: the WWW-Authenticate header. Pure functions;
// private to the module.
#pragma once

#include <map>
#include <string>
#include <string_view>
#include <vector>

namespace depot::registry {

struct Challenge {
  std::string scheme;                         // lower case: "bearer", "basic"
  std::map<std::string, std::string> fields;  // names in lower case
  std::string field(const std::string& name) const {
    auto found = fields.find(name);
    return found == fields.end() ? "" : found->second;
  }
};

// All challenges of one header's value, in order. What is not one of RFC 9110 ends the list.
std::vector<Challenge> parse_challenges(std::string_view header);

}  // namespace depot::registry

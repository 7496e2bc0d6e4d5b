// Images that are kept in Depot's registry.
#pragma once

#include <string>
#include <vector>

namespace depot::machine {

inline constexpr const char* kDepotRegistry = "registry.depot.dev";
inline constexpr const char* kTokenUser = "x-token";  // whose password is a token

// What an image is called there of a build that somebody else made: no CreateBuild told us.
std::vector<std::string> saved_names(const std::string& project, const std::string& build_id,
                                     const std::vector<std::string>& save_tags);

}  // namespace depot::machine

// The stored login and the project file. Private to the depotapi module.
#pragma once

#include <optional>
#include <string>

#include "base/environment.h"
#include "base/status.h"

namespace depot::depotapi {

// "<config home>/depot/depot.yaml"; empty when neither XDG_CONFIG_HOME nor HOME says where.
std::string login_file(const base::Environment& environment);

// The value of a key at the top of a YAML (so also JSON) file. nullopt without the file, the key or
// a value; kInvalidArgument for what does not parse. Errors name the file, never its contents.
base::Result<std::optional<std::string>> yaml_value(const std::string& path,
                                                    const std::string& key);

// The first depot.json, depot.yml or depot.yaml in `folder` or above it; empty when there is none.
std::string find_project_file(const std::string& folder);

}  // namespace depot::depotapi

// What the attributes of an export may be, as far as the builder's exporters say so (BuildKit's
// exporter/containerimage/opts.go and those of oci, local and tar): told before anything is sent.
// Attributes that are not known here are the builder's, and pass. Private to the module.
#pragma once

#include <string>

#include "base/status.h"

namespace depot::solve {

// As Go's strconv.ParseBool, and "" as BuildKit has it: an attribute without a value is on.
bool is_go_true(const std::string& value);

// The attribute "mode" of a local export, as the builder reads it: "copy", "delete", or no mode.
std::string local_mode(std::string value);

base::Status check_export_attr(const std::string& type, const std::string& key,
                               const std::string& value);

}  // namespace depot::solve

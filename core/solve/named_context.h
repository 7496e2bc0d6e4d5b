// `--build-context NAME=VALUE`: what a Dockerfile means by a name. Private to the module.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"
#include "content/digest.h"
#include "solve/request.h"

namespace depot::solve {

// The name as the frontend looks it up: "docker.io/library/alpine:latest" is "alpine"; after "::" a
// platform as the frontend writes it.
base::Result<std::string> context_name(const std::string& name);

// "oci-layout://DIR[:TAG][@DIGEST]".
struct LayoutRef {
  std::string dir;
  std::string tag;  // "latest" when there is neither
  std::optional<content::Digest> digest;
};
// nullopt for what does not begin so.
base::Result<std::optional<LayoutRef>> parse_layout_ref(std::string_view text);

// Part of prepare(): directories become local dirs, layouts stores, all of them attributes.
base::Status prepare_named_contexts(Request& request);

}  // namespace depot::solve

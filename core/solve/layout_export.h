// Images in a directory: `type=oci` and `type=docker` with `tar=false`. The builder writes the
// blobs into the layout as into a local cache; its index names the image when the build has
// succeeded. Private to the module.
#pragma once

#include "base/cancel.h"
#include "base/status.h"
#include "solve/request.h"
#include "solve/result.h"

namespace depot::solve {

// Whether `target` is such an export.
bool is_layout(const Export& target);

// Part of prepare(): opens the directory, which is made if need be, as the store that the builder
// calls "export". There can be one of them, for the builder has that one name.
base::Status prepare_layout_export(Request& request, Export& target);

// After a solve: the index names the image, by the names the builder gave it, or as "latest".
base::Status finish_layout_export(const Request& request, const Response& response,
                                  const base::Cancel& cancel);

}  // namespace depot::solve

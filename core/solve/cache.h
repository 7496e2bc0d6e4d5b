// Caches that a build takes from and leaves behind: `--cache-from`, `--cache-to`. Private to the
// module but for CacheEntry (request.h).
#pragma once

#include <string>
#include <vector>

#include "base/cancel.h"
#include "base/environment.h"
#include "base/log.h"
#include "base/secret.h"
#include "base/status.h"
#include "solve/request.h"

namespace depot::solve {

// As docker buildx and buildctl spell them: "type=local,src=dir", or references to images in a
// registry, "a,b". Never quotes the spec in an error: it may hold keys.
base::Result<std::vector<CacheEntry>> parse_cache_from(std::string_view spec);
base::Result<std::vector<CacheEntry>> parse_cache_to(std::string_view spec);

// Part of prepare(): fills in what the environment has (gha, s3), opens local caches and adds them
// to `request.stores`, adds the inline cache of BUILDKIT_INLINE_CACHE. An import that is not there
// is dropped with a line in `request.warnings`, as BuildKit's clients do.
base::Status prepare_cache(Request& request, const base::Environment& environment);

// The frontend's attribute "cache-imports", as Go writes it. It may hold keys.
base::Secret cache_imports_json(const std::vector<CacheEntry>& entries);

// After a solve: the index of each local cache names what the build left in it (`manifest`, from
// the exporter response), and what reset=true asks for is removed.
base::Status finish_cache(const Request& request, const std::string& manifest,
                          const base::Cancel& cancel, const base::LogSink& log);

}  // namespace depot::solve

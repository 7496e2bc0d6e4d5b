// A Dockerfile at an http(s) URL. The builder fetches it, as for docker buildx: by its network and
// proxies, and from its cache when the server says that nothing changed.
#pragma once

#include <memory>
#include <string>

#include "base/status.h"
#include "solve/request.h"
#include "solve/solve.h"

namespace depot::solve {

// The definition of one file, `file`, with what lies at `url`.
Fetch http_fetch(const std::string& url, const std::string& file, int64_t limit);

// If the prepared request names its Dockerfile by a URL: has the builder fetch it, and puts the
// text where the Dockerfile is looked for. A solve of its own, left out of the builder's history.
base::Status fetch_dockerfile(const std::shared_ptr<buildkit::Channel>& channel, Request& request,
                              const RunOptions& options);

}  // namespace depot::solve

// What of a local context a builder may get, and why: the answers that a build gives too late. The
// builder is not asked, and nothing is sent.
#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "base/status.h"
#include "solve/request.h"

namespace depot::solve {

struct Explanation {
  bool sent = false;
  // The rule that decided, which is the last that matched; empty: none did, and so it is sent.
  std::string file;
  int32_t line = 0;
  std::string rule;     // as it stands there
  std::string matched;  // what it matched: the path itself, or a directory above
};

// `path` is relative to the context, or absolute and in its directory. kNotFound: it has none.
base::Result<Explanation> explain_context(const Request& request, const std::string& path);

struct ContextFile {
  std::string path;
  uint64_t size = 0;
};

// Everything but directories that is not ignored, in the order of a walk. A build that copies less
// asks for less.
base::Result<std::vector<ContextFile>> list_context(const Request& request, const Waiting& waiting);

}  // namespace depot::solve

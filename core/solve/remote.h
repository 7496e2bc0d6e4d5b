// Contexts that the builder fetches by itself: Git references and HTTP(S) addresses, told apart as
// docker buildx tells them apart, and checked before anything is sent.
#pragma once

#include <optional>
#include <string>
#include <string_view>

#include "base/status.h"

namespace depot::solve {

struct GitRef {
  std::string remote;  // what git is given: no fragment, no query
  std::string ref;     // branch, tag or commit; empty: the remote's HEAD
  std::string subdir;  // relative and clean, empty: all of it
  std::string checksum;
  bool query = false;  // spelled with ?key=value, which a frontend must be able to read
};

bool is_http_url(std::string_view text);

// nullopt: `text` is no Git reference (a path, another URL). An error: it is one, and wrong in a
// way that is seen here: a subdir that leaves the repository (CVE-2026-33748) or is absolute, a
// checksum that no commit has, keys that contradict each other or that nobody knows.
base::Result<std::optional<GitRef>> parse_git_ref(const std::string& text);

struct RemoteContext {
  std::optional<GitRef> git;  // unset: what lies at an HTTP address, an archive or a Dockerfile
};

// nullopt: not remote. Local directories of that name come first; whoever calls this has looked.
base::Result<std::optional<RemoteContext>> parse_remote(const std::string& text);

// The URL without the password that may be in it, for messages.
std::string redact_url(std::string_view url);

}  // namespace depot::solve

// Calls: what a frontend tells about a build instead of building it (`--call`, `--check`).
#pragma once

#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "base/error.h"
#include "base/status.h"
#include "solve/request.h"

namespace depot::solve {

struct Place {
  std::string file;  // "" when the frontend does not say
  std::vector<base::SourceRange> ranges;
};

struct LintWarning {
  std::string rule, description, url, detail;
  Place place;
};

// Why a Dockerfile could not be checked to its end.
struct LintError {
  std::string message;
  base::SourceLocation location;
};

struct OutlineEntry {
  enum class Kind { kArg = 1, kSecret = 2, kSsh = 3, kCache = 4 } kind = Kind::kArg;
  std::string name, description, value;
  bool required = false;
  Place place;
};

struct Target {
  std::string name, description, base, platform;
  bool is_default = false;
  Place place;
};

struct CallAnswer {
  std::string method;      // "lint", "outline", "targets", or another of the frontend's
  std::string json, text;  // as the frontend gave them
  int32_t status = 0;      // what it says is the exit status
  std::vector<LintWarning> warnings;
  std::optional<LintError> error;
  std::string name, description;  // of the target that is outlined
  std::vector<OutlineEntry> outline;
  std::vector<Target> targets;
};

// `--call`: "build" is none; "check" is "lint"; "outline", "targets", "subrequests.describe", or a
// frontend's own.
base::Status set_call(Request& request, const std::string& method);

// What a prepared request with a call needs: attributes, and no export. Part of prepare().
void apply_call(Request& request);

// Reads the result's metadata. Not ok when the frontend answered something else than it should.
base::Result<CallAnswer> read_answer(const std::string& method,
                                     const std::map<std::string, std::string>& metadata);

}  // namespace depot::solve

// The text of a .dockerignore as github.com/moby/patternmatcher/ignorefile reads it: one rule a
// line.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace depot::filesync {

struct IgnoreRule {
  int32_t line = 0;     // from 1
  std::string text;     // as it stands there, without the blanks around it
  std::string pattern;  // what builders match with, never empty
};

// Fails on a line of 64 KiB and more, as builders do.
base::Result<std::vector<IgnoreRule>> parse_ignore_file(std::string_view text);

}  // namespace depot::filesync

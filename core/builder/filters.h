// Filters of `du` and `prune`, as buildctl and docker buildx spell them.
//
// BuildKit's own syntax is containerd's: FIELD==VALUE, FIELD!=VALUE, FIELD~=REGEXP or FIELD alone;
// commas in one filter mean "and", several filters "or". docker's FIELD=VALUE is taken, too: it is
// "==", for an id "~="; true and false for what a record is or is not; `until` and its synonym
// `unused-for` with a duration are no filter but an age, and count for all.
#pragma once

#include <chrono>
#include <string>
#include <string_view>
#include <vector>

#include "base/status.h"

namespace depot::builder {

struct Filters {
  std::vector<std::string> filters;        // BuildKit's syntax
  std::chrono::nanoseconds older_than{0};  // 0: any age
};

// At commas outside of quotes.
base::Result<std::vector<std::string_view>> split_filter(std::string_view filter);

base::Result<Filters> parse_filters(const std::vector<std::string>& given);

// Go's: "24h", "1h30m", "1.5s", "300ms"; "0". Not negative.
base::Result<std::chrono::nanoseconds> parse_duration(std::string_view text);

}  // namespace depot::builder

// Gzip in memory, bounded. Private to the depotapi module.
#pragma once

#include <string>
#include <string_view>

#include "base/status.h"

namespace depot::depotapi {

// kResourceExhausted as soon as the result would be larger than `limit`, however small the input
// is; kInternal for what is no gzip or is cut short. Several members in a row are one text, as in
// Go.
base::Result<std::string> gunzip(std::string_view data, size_t limit);
base::Result<std::string> gzip(std::string_view data);

}  // namespace depot::depotapi

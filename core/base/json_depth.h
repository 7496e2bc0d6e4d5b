// Whether text that is to be JSON nests no deeper than a parser that recurses may be led.
#pragma once

#include <cstddef>
#include <string_view>

namespace depot::base {

bool json_is_shallow(std::string_view text, size_t max_depth = 64);

}  // namespace depot::base

// What both readers of a builder's JSON need first. Private to the module.
#pragma once

#include <string>

namespace depot::solve {

// Strict, as Go's base64.StdEncoding: padded, no line breaks. False when it is not base64.
bool base64_decode(const std::string& text, std::string& out);
// Whether it nests no deeper than a parser that recurses may go.
bool shallow(const std::string& text);

}  // namespace depot::solve

// What BuildKit takes from Go's standard library for paths and patterns, byte for byte: results
// decide which files a build sees. Unix flavours only.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace depot::filesync {

// path/filepath.Clean.
std::string clean_path(std::string_view path);
// path/filepath.Dir.
std::string dir_of(std::string_view path);
// path/filepath.Join: empty parts are left out, the rest is cleaned.
std::string join_path(std::string_view a, std::string_view b);
// strings.TrimSpace: Unicode white space.
std::string_view trim_space(std::string_view text);

inline constexpr uint32_t kRuneError = 0xfffd;
struct Rune {
  uint32_t value;
  uint32_t size;  // bytes; an invalid byte is kRuneError of size 1
};
// unicode/utf8.DecodeRuneInString, for non-empty `text`.
Rune decode_rune(std::string_view text);
// Each invalid byte replaced by U+FFFD: what Go's regexp sees.
std::string to_valid_utf8(std::string_view text);

enum class GlobResult { kNoMatch, kMatch, kBadPattern };
// path/filepath.Match. Like it, reports bad patterns only as far as it got in matching.
GlobResult glob_match(std::string_view pattern, std::string_view name);

}  // namespace depot::filesync

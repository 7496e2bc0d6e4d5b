// The colours of the terminal display, by the conventions of BuildKit's own.
#pragma once

#include <string>
#include <string_view>

namespace depot::progress {

// Sequences that switch a colour on; empty: none.
struct Colors {
  std::string run, cancel, warning, error;
  std::string faint;  // for what a step prints
  bool on() const { return !faint.empty(); }

  static Colors none() { return {}; }
  // Blue, yellow, yellow and red.
  static Colors standard();
};

// What BUILDKIT_COLORS has: "run=green:warning=yellow:error=red:cancel=255,165,0", names or three
// numbers. What is not understood is left as it was, as there.
void read_colors(std::string_view spec, Colors& colors);

inline constexpr std::string_view kColorOff = "\x1b[0m";
// `text` in that colour.
std::string in_color(std::string_view text, std::string_view color);

}  // namespace depot::progress

#include "progress/cells.h"

#include <algorithm>
#include <array>
#include <iterator>

namespace depot::progress {
namespace {

struct Range {
  char32_t first, last;
};

template <size_t N>
bool within(const std::array<Range, N>& ranges, char32_t c) {
  auto it =
      std::upper_bound(ranges.begin(), ranges.end(), c,
                       [](char32_t value, const Range& range) { return value < range.first; });
  return it != ranges.begin() && c <= std::prev(it)->last;
}

// Unicode's East Asian Width W and F, and what is shown as a picture by itself.
constexpr std::array<Range, 71> kWide = {{
    {0x1100, 0x115f},   {0x231a, 0x231b},   {0x2329, 0x232a},   {0x23e9, 0x23ec},
    {0x23f0, 0x23f0},   {0x23f3, 0x23f3},   {0x25fd, 0x25fe},   {0x2614, 0x2615},
    {0x2648, 0x2653},   {0x267f, 0x267f},   {0x2693, 0x2693},   {0x26a1, 0x26a1},
    {0x26aa, 0x26ab},   {0x26bd, 0x26be},   {0x26c4, 0x26c5},   {0x26ce, 0x26ce},
    {0x26d4, 0x26d4},   {0x26ea, 0x26ea},   {0x26f2, 0x26f3},   {0x26f5, 0x26f5},
    {0x26fa, 0x26fa},   {0x26fd, 0x26fd},   {0x2705, 0x2705},   {0x270a, 0x270b},
    {0x2728, 0x2728},   {0x274c, 0x274c},   {0x274e, 0x274e},   {0x2753, 0x2755},
    {0x2757, 0x2757},   {0x2795, 0x2797},   {0x27b0, 0x27b0},   {0x27bf, 0x27bf},
    {0x2b1b, 0x2b1c},   {0x2b50, 0x2b50},   {0x2b55, 0x2b55},   {0x2e80, 0x303e},
    {0x3041, 0x33ff},   {0x3400, 0x4dbf},   {0x4e00, 0x9fff},   {0xa000, 0xa4cf},
    {0xa960, 0xa97f},   {0xac00, 0xd7a3},   {0xf900, 0xfaff},   {0xfe10, 0xfe19},
    {0xfe30, 0xfe6f},   {0xff00, 0xff60},   {0xffe0, 0xffe6},   {0x16fe0, 0x187f7},
    {0x1b000, 0x1b2ff}, {0x1f004, 0x1f004}, {0x1f0cf, 0x1f0cf}, {0x1f18e, 0x1f18e},
    {0x1f191, 0x1f19a}, {0x1f200, 0x1f265}, {0x1f300, 0x1f320}, {0x1f32d, 0x1f335},
    {0x1f337, 0x1f37c}, {0x1f37e, 0x1f393}, {0x1f3a0, 0x1f3ca}, {0x1f3cf, 0x1f3d3},
    {0x1f3e0, 0x1f3f0}, {0x1f3f4, 0x1f3f4}, {0x1f3f8, 0x1f43e}, {0x1f440, 0x1f440},
    {0x1f442, 0x1f4fc}, {0x1f4ff, 0x1f53d}, {0x1f54b, 0x1f567}, {0x1f57a, 0x1f5a4},
    {0x1f5fb, 0x1f6fc}, {0x1f7e0, 0x1faff}, {0x20000, 0x3fffd},
}};

// Combining marks, joiners, variation selectors: they have no cell of their own.
constexpr std::array<Range, 36> kNone = {{
    {0x0300, 0x036f},   {0x0483, 0x0489}, {0x0591, 0x05bd}, {0x05bf, 0x05bf}, {0x05c1, 0x05c2},
    {0x05c4, 0x05c5},   {0x05c7, 0x05c7}, {0x0610, 0x061a}, {0x064b, 0x065f}, {0x0670, 0x0670},
    {0x06d6, 0x06dc},   {0x06df, 0x06e4}, {0x06e7, 0x06e8}, {0x06ea, 0x06ed}, {0x0900, 0x0902},
    {0x093a, 0x093a},   {0x093c, 0x093c}, {0x0941, 0x0948}, {0x094d, 0x094d}, {0x0e31, 0x0e31},
    {0x0e34, 0x0e3a},   {0x0e47, 0x0e4e}, {0x1160, 0x11ff}, {0x1ab0, 0x1aff}, {0x1dc0, 0x1dff},
    {0x200b, 0x200f},   {0x2028, 0x202e}, {0x2060, 0x206f}, {0x20d0, 0x20ff}, {0x302a, 0x302d},
    {0x3099, 0x309a},   {0xfe00, 0xfe0f}, {0xfe20, 0xfe2f}, {0xfeff, 0xfeff}, {0x1d165, 0x1d169},
    {0xe0000, 0xe01ef},
}};

bool is_control(char32_t c) {
  return c < 0x20 || (c >= 0x7f && c < 0xa0);
}

// Marks that turn the direction of writing, line and paragraph separators.
bool turns(char32_t c) {
  return c == 0x200e || c == 0x200f || (c >= 0x2028 && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

// Behind an escape sequence that begins at text[at].
size_t after_escape(std::string_view text, size_t at) {
  if (++at >= text.size()) return at;
  char kind = text[at++];
  if (kind == '[') {  // CSI: parameters, then one letter
    while (at < text.size() && (text[at] < 0x40 || text[at] > 0x7e)) {
      if (static_cast<unsigned char>(text[at]) < 0x20) return at;
      ++at;
    }
    return std::min(at + 1, text.size());
  }
  if (kind == ']' || kind == 'P' || kind == '^' || kind == '_' || kind == 'X') {  // a string
    while (at < text.size()) {
      if (text[at] == '\a') return at + 1;
      if (text[at] == '\x1b') return at + 1 < text.size() && text[at + 1] == '\\' ? at + 2 : at;
      ++at;
    }
    return at;
  }
  while (at <= text.size() && kind >= 0x20 && kind <= 0x2f)
    kind = at < text.size() ? text[at++] : '\0';
  return std::min(at, text.size());
}

}  // namespace

char32_t next_character(std::string_view text, size_t& at) {
  auto first = static_cast<unsigned char>(text[at++]);
  if (first < 0x80) return first;
  size_t more = first >= 0xf0 && first <= 0xf4 ? 3 : first >= 0xe0 ? 2 : 1;
  if (first < 0xc2 || first > 0xf4 || at + more > text.size()) return 0xfffd;
  char32_t value = first & (0x3fU >> more);
  for (size_t i = 0; i < more; ++i) {
    auto next = static_cast<unsigned char>(text[at + i]);
    if ((next & 0xc0) != 0x80) return 0xfffd;
    value = value << 6 | (next & 0x3f);
  }
  constexpr std::array<char32_t, 4> kLeast = {0, 0x80, 0x800, 0x10000};
  if (value < kLeast[more] || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff))
    return 0xfffd;
  at += more;
  return value;
}

int cells_of(char32_t character) {
  if (is_control(character) || character == 0xad) return 0;
  if (character < 0x300) return 1;
  if (within(kNone, character)) return 0;
  return within(kWide, character) ? 2 : 1;
}

void append_character(std::string& out, char32_t c) {
  auto put = [&](char32_t byte) { out += static_cast<char>(byte); };
  if (c < 0x80) {
    put(c);
  } else if (c < 0x800) {
    put(0xc0 | c >> 6);
    put(0x80 | (c & 0x3f));
  } else if (c < 0x10000) {
    put(0xe0 | c >> 12);
    put(0x80 | (c >> 6 & 0x3f));
    put(0x80 | (c & 0x3f));
  } else {
    put(0xf0 | c >> 18);
    put(0x80 | (c >> 12 & 0x3f));
    put(0x80 | (c >> 6 & 0x3f));
    put(0x80 | (c & 0x3f));
  }
}

std::string clean(std::string_view text, int tab) {
  std::string out;
  out.reserve(text.size());
  while (text.ends_with('\r')) text.remove_suffix(1);
  for (size_t at = 0; at < text.size();) {
    if (text[at] == '\x1b') {
      at = after_escape(text, at);
      continue;
    }
    char32_t c = next_character(text, at);
    if (c == '\t')
      out.append(tab == 0 ? "\t" : std::string(static_cast<size_t>(tab), ' '));
    else if (c == '\r')
      out.clear();
    else if (c == '\n')
      out += ' ';
    else if (!is_control(c) && !turns(c))
      append_character(out, c);
  }
  return out;
}

size_t cells_of(std::string_view text) {
  size_t cells = 0;
  for (size_t at = 0; at < text.size();)
    cells += static_cast<size_t>(cells_of(next_character(text, at)));
  return cells;
}

std::string_view cut_cells(std::string_view text, size_t cells) {
  size_t used = 0;
  for (size_t at = 0; at < text.size();) {
    size_t before = at;
    used += static_cast<size_t>(cells_of(next_character(text, at)));
    if (used > cells) return text.substr(0, before);
  }
  return text;
}

std::string pad_cells(std::string_view text, size_t cells) {
  std::string out(cut_cells(text, cells));
  out.append(cells - cells_of(out), ' ');
  return out;
}

}  // namespace depot::progress

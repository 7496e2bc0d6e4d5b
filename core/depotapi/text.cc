#include "depotapi/text.h"

#include <algorithm>

namespace depot::depotapi {
namespace {

constexpr size_t kShortestSecret = 4;  // shorter ones would only garble the text

// Length of the UTF-8 sequence at the start of `text`, 0 if there is none.
size_t sequence(std::string_view text) {
  auto at = [&](size_t i) { return static_cast<unsigned char>(text[i]); };
  auto follows = [&](size_t i, unsigned low = 0x80, unsigned high = 0xbf) {
    return i < text.size() && at(i) >= low && at(i) <= high;
  };
  unsigned first = at(0);
  if (first < 0x80) return 1;
  if (first >= 0xc2 && first <= 0xdf) return follows(1) ? 2 : 0;
  if (first >= 0xe0 && first <= 0xef) {
    bool second = follows(1, first == 0xe0 ? 0xa0 : 0x80, first == 0xed ? 0x9f : 0xbf);
    return second && follows(2) ? 3 : 0;
  }
  if (first >= 0xf0 && first <= 0xf4) {
    bool second = follows(1, first == 0xf0 ? 0x90 : 0x80, first == 0xf4 ? 0x8f : 0xbf);
    return second && follows(2) && follows(3) ? 4 : 0;
  }
  return 0;
}

}  // namespace

bool valid_utf8(std::string_view text) {
  while (!text.empty()) {
    size_t length = sequence(text);
    if (length == 0) return false;
    text.remove_prefix(length);
  }
  return true;
}

bool plain(std::string_view text, size_t limit) {
  return text.size() <= limit && valid_utf8(text) &&
         std::none_of(text.begin(), text.end(),
                      [](unsigned char c) { return c < 0x20 || c == 0x7f; });
}

std::string clean_utf8(std::string_view text, size_t limit) {
  constexpr std::string_view kReplacement = "\xef\xbf\xbd";
  std::string out;
  while (!text.empty()) {
    size_t length = sequence(text);
    std::string_view piece = length ? text.substr(0, length) : kReplacement;
    if (out.size() + piece.size() > limit) break;
    out += piece;
    text.remove_prefix(length ? length : 1);
  }
  return out;
}

std::string clean_line(std::string_view text, size_t limit) {
  std::string line = clean_utf8(text, limit);
  for (char& c : line)
    if (static_cast<unsigned char>(c) < 0x20 || c == 0x7f) c = ' ';
  return line;
}

std::string redacted(std::string text, const base::Secret& secret) {
  std::string_view bytes = secret.reveal();
  if (bytes.size() < kShortestSecret) return text;
  constexpr std::string_view kMark = "[redacted]";
  for (size_t at = text.find(bytes); at != std::string::npos; at = text.find(bytes, at)) {
    text.replace(at, bytes.size(), kMark);
    at += kMark.size();
  }
  return text;
}

std::string_view trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r\n";
  size_t first = text.find_first_not_of(kBlanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(kBlanks) - first + 1);
}

}  // namespace depot::depotapi

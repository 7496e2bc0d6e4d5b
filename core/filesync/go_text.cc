#include "filesync/go_text.h"

namespace depot::filesync {

std::string clean_path(std::string_view path) {
  bool rooted = !path.empty() && path[0] == '/';
  std::string out = rooted ? "/" : "";
  size_t floor = out.size();  // ".." goes up no further than this
  size_t at = 0;
  while (at < path.size()) {
    size_t end = path.find('/', at);
    if (end == std::string_view::npos) end = path.size();
    std::string_view part = path.substr(at, end - at);
    at = end + 1;
    if (part.empty() || part == ".") continue;
    if (part == "..") {
      if (out.size() > floor) {
        size_t slash = out.rfind('/');
        out.resize(slash == std::string::npos || slash < floor ? floor : slash);
        continue;
      }
      if (rooted) continue;
      if (!out.empty()) out += '/';
      out += "..";
      floor = out.size();
      continue;
    }
    if (!out.empty() && out.back() != '/') out += '/';
    out += part;
  }
  return out.empty() ? "." : out;
}

std::string dir_of(std::string_view path) {
  size_t slash = path.rfind('/');
  return clean_path(slash == std::string_view::npos ? "" : path.substr(0, slash + 1));
}

std::string join_path(std::string_view a, std::string_view b) {
  if (a.empty() && b.empty()) return "";
  if (a.empty()) return clean_path(b);
  if (b.empty()) return clean_path(a);
  return clean_path(std::string(a) + "/" + std::string(b));
}

namespace {

bool is_space(uint32_t rune) {
  if (rune <= 0x20) return rune == ' ' || (rune >= '\t' && rune <= '\r');
  return rune == 0x85 || rune == 0xa0 || rune == 0x1680 || (rune >= 0x2000 && rune <= 0x200a) ||
         rune == 0x2028 || rune == 0x2029 || rune == 0x202f || rune == 0x205f || rune == 0x3000;
}

bool continues(char c) {
  return (static_cast<uint8_t>(c) & 0xc0) == 0x80;
}

}  // namespace

std::string_view trim_space(std::string_view text) {
  while (!text.empty()) {
    Rune rune = decode_rune(text);
    if (!is_space(rune.value)) break;
    text.remove_prefix(rune.size);
  }
  while (!text.empty()) {
    size_t start = text.size() - 1;
    while (start > 0 && text.size() - start < 4 && continues(text[start])) --start;
    Rune rune = decode_rune(text.substr(start));
    if (!is_space(rune.value) || start + rune.size != text.size()) break;
    text = text.substr(0, start);
  }
  return text;
}

Rune decode_rune(std::string_view text) {
  auto byte = [&](size_t i) { return static_cast<uint32_t>(static_cast<uint8_t>(text[i])); };
  uint32_t first = byte(0);
  if (first < 0x80) return {first, 1};
  uint32_t size = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < size) return {kRuneError, 1};
  uint32_t value = first & (0xffu >> (size + 1));
  for (uint32_t i = 1; i < size; ++i) {
    if (!continues(text[i])) return {kRuneError, 1};
    value = value << 6 | (byte(i) & 0x3f);
  }
  bool overlong = (size == 3 && value < 0x800) || (size == 4 && value < 0x10000);
  if (overlong || value > 0x10ffff || (value >= 0xd800 && value <= 0xdfff)) return {kRuneError, 1};
  return {value, size};
}

std::string to_valid_utf8(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  while (!text.empty()) {
    Rune rune = decode_rune(text);
    if (rune.value == kRuneError) {
      out += "\xef\xbf\xbd";
    } else {
      out += text.substr(0, rune.size);
    }
    text.remove_prefix(rune.size);
  }
  return out;
}

namespace {

// One character of a class, unescaped. False: malformed.
bool take_class_rune(std::string_view* chunk, uint32_t* rune) {
  if (chunk->empty() || chunk->front() == '-' || chunk->front() == ']') return false;
  if (chunk->front() == '\\') {
    chunk->remove_prefix(1);
    if (chunk->empty()) return false;
  }
  Rune taken = decode_rune(*chunk);
  if (taken.value == kRuneError && taken.size == 1) return false;
  chunk->remove_prefix(taken.size);
  *rune = taken.value;
  return !chunk->empty();
}

// A class behind its '['. Goes on to the ']' whether or not it matches.
bool take_class(std::string_view* chunk, uint32_t rune, bool* matched) {
  bool negated = !chunk->empty() && chunk->front() == '^';
  if (negated) chunk->remove_prefix(1);
  bool found = false;
  for (int ranges = 0;; ++ranges) {
    if (ranges > 0 && !chunk->empty() && chunk->front() == ']') break;
    uint32_t low = 0;
    if (!take_class_rune(chunk, &low)) return false;
    uint32_t high = low;
    if (chunk->front() == '-') {
      chunk->remove_prefix(1);
      if (!take_class_rune(chunk, &high)) return false;
    }
    found = found || (low <= rune && rune <= high);
  }
  chunk->remove_prefix(1);
  *matched = found != negated;
  return true;
}

// Matches a star-free piece at the start of `text`; `rest` is what it left.
GlobResult match_chunk(std::string_view chunk, std::string_view text, std::string_view* rest) {
  bool failed = false;  // the scan goes on to find bad syntax
  auto take = [&](size_t count) { text.remove_prefix(count); };
  while (!chunk.empty()) {
    failed = failed || text.empty();
    char c = chunk.front();
    chunk.remove_prefix(1);
    if (c == '[') {
      Rune rune{0, 0};
      if (!failed) {
        rune = decode_rune(text);
        take(rune.size);
      }
      bool matched = false;
      if (!take_class(&chunk, rune.value, &matched)) return GlobResult::kBadPattern;
      failed = failed || !matched;
      continue;
    }
    if (c == '?') {
      if (!failed) {
        failed = text.front() == '/';
        take(decode_rune(text).size);
      }
      continue;
    }
    if (c == '\\') {
      if (chunk.empty()) return GlobResult::kBadPattern;
      c = chunk.front();
      chunk.remove_prefix(1);
    }
    if (!failed) {
      failed = text.front() != c;
      take(1);
    }
  }
  if (failed) return GlobResult::kNoMatch;
  *rest = text;
  return GlobResult::kMatch;
}

// Length of the leading piece up to the next star outside a class.
size_t chunk_length(std::string_view pattern) {
  bool in_class = false;
  for (size_t i = 0; i < pattern.size(); ++i) {
    char c = pattern[i];
    if (c == '\\') {
      ++i;
    } else if (c == '[') {
      in_class = true;
    } else if (c == ']') {
      in_class = false;
    } else if (c == '*' && !in_class) {
      return i;
    }
  }
  return pattern.size();
}

}  // namespace

GlobResult glob_match(std::string_view pattern, std::string_view name) {
  while (!pattern.empty()) {
    bool star = false;
    while (!pattern.empty() && pattern.front() == '*') {
      star = true;
      pattern.remove_prefix(1);
    }
    std::string_view chunk = pattern.substr(0, chunk_length(pattern));
    pattern.remove_prefix(chunk.size());
    if (star && chunk.empty())
      return name.find('/') == std::string_view::npos ? GlobResult::kMatch : GlobResult::kNoMatch;
    std::string_view rest;
    GlobResult result = match_chunk(chunk, name, &rest);
    if (result == GlobResult::kMatch && (rest.empty() || !pattern.empty())) {
      name = rest;
      continue;
    }
    if (result == GlobResult::kBadPattern) return result;
    bool found = false;
    for (size_t i = 0; star && i < name.size() && name[i] != '/'; ++i) {
      result = match_chunk(chunk, name.substr(i + 1), &rest);
      if (result == GlobResult::kBadPattern) return result;
      if (result == GlobResult::kMatch && (!pattern.empty() || rest.empty())) {
        found = true;
        name = rest;
        break;
      }
    }
    if (!found) return GlobResult::kNoMatch;
  }
  return name.empty() ? GlobResult::kMatch : GlobResult::kNoMatch;
}

}  // namespace depot::filesync

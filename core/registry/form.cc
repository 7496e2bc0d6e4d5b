#include "registry/form.h"

#include <cstdint>
#include <optional>

namespace depot::registry {

namespace {

int hex_value(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  if (c >= 'A' && c <= 'F') return c - 'A' + 10;
  return -1;
}

bool unreserved(char c) {
  return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '-' ||
         c == '_' || c == '.' || c == '~';
}

void append_escaped(std::string& out, std::string_view text) {
  static constexpr char kHex[] = "0123456789ABCDEF";
  for (char c : text) {
    auto byte = static_cast<uint8_t>(c);
    if (unreserved(c)) {
      out += c;
    } else if (c == ' ') {
      out += '+';
    } else {
      out += '%';
      out += kHex[byte >> 4];
      out += kHex[byte & 15];
    }
  }
}

std::optional<std::string> unescape(std::string_view text) {
  std::string out;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '+') {
      out += ' ';
    } else if (text[i] == '%') {
      if (text.size() - i < 3) return std::nullopt;
      int high = hex_value(text[i + 1]), low = hex_value(text[i + 2]);
      if (high < 0 || low < 0) return std::nullopt;
      out += static_cast<char>(high * 16 + low);
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

}  // namespace

std::string encode_query(const Query& query) {
  std::string out;
  size_t size = 0;
  for (const auto& [key, values] : query) {
    for (const std::string& value : values) size += 3 * (key.size() + value.size()) + 2;
  }
  out.reserve(size);  // no growth: it may hold a password
  for (const auto& [key, values] : query) {
    for (const std::string& value : values) {
      if (!out.empty()) out += '&';
      append_escaped(out, key);
      out += '=';
      append_escaped(out, value);
    }
  }
  return out;
}

Query parse_query(std::string_view text) {
  Query query;
  while (!text.empty()) {
    size_t end = text.find('&');
    std::string_view pair = text.substr(0, end);
    text = end == std::string_view::npos ? std::string_view() : text.substr(end + 1);
    if (pair.empty() || pair.find(';') != std::string_view::npos) continue;
    size_t equals = pair.find('=');
    auto key = unescape(pair.substr(0, equals));
    auto value = unescape(equals == std::string_view::npos ? "" : pair.substr(equals + 1));
    if (key && value) query[*key].push_back(std::move(*value));
  }
  return query;
}

}  // namespace depot::registry

#include "solve/export_attrs.h"

#include <algorithm>
#include <array>
#include <cctype>
#include <charconv>
#include <cstdint>
#include <string_view>

namespace depot::solve {

using base::Status;
using base::usage_error;

namespace {

// On when they have no value.
constexpr std::array<std::string_view, 8> kSwitches = {
    "push",  "push-by-digest", "registry.insecure", "unpack",
    "store", "name-canonical", "force-compression", "danging-name-empty-only"};
// Those that must have one.
constexpr std::array<std::string_view, 5> kBooleans = {
    "oci-mediatypes", "oci-artifact", "attestation-inline", "prefer-nondist-layers",
    "rewrite-timestamp"};
constexpr std::array<std::string_view, 4> kCompressions = {"uncompressed", "gzip", "estargz",
                                                           "zstd"};

template <size_t N>
bool one_of(const std::array<std::string_view, N>& set, std::string_view text) {
  return std::find(set.begin(), set.end(), text) != set.end();
}

bool is_go_bool(const std::string& value) {
  constexpr std::array<std::string_view, 6> kFalse = {"0", "f", "F", "false", "FALSE", "False"};
  return (is_go_true(value) && !value.empty()) || one_of(kFalse, value);
}

bool is_number(const std::string& value) {
  int64_t number = 0;
  auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), number);
  return error == std::errc() && end == value.data() + value.size();
}

Status bad(const std::string& key, const std::string& value, const std::string& wanted) {
  return usage_error("export attribute " + key + " is " + wanted + ", not '" + value + "'");
}

}  // namespace

bool is_go_true(const std::string& value) {
  constexpr std::array<std::string_view, 7> kTrue = {"", "1", "t", "T", "true", "TRUE", "True"};
  return one_of(kTrue, value);
}

std::string local_mode(std::string value) {
  value.erase(0, value.find_first_not_of(" \t"));
  value.erase(value.find_last_not_of(" \t") + 1);
  std::transform(value.begin(), value.end(), value.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return value.empty() ? "copy" : value;
}

Status check_export_attr(const std::string& type, const std::string& key,
                         const std::string& value) {
  bool image = type == "image" || type == "oci" || type == "docker";
  if (key == "tar" && (type == "oci" || type == "docker")) {
    if (!value.empty() && !is_go_bool(value)) return bad(key, value, "true or false");
  } else if (image && one_of(kSwitches, key)) {
    if (!value.empty() && !is_go_bool(value)) return bad(key, value, "true or false");
  } else if (image && one_of(kBooleans, key)) {
    if (!is_go_bool(value)) return bad(key, value, "true or false");
  } else if (image && key == "compression") {
    if (!one_of(kCompressions, value))
      return bad(key, value, "one of uncompressed, gzip, estargz, zstd");
  } else if (image && key == "compression-level") {
    if (!is_number(value)) return bad(key, value, "a number");
  } else if (key == "source-date-epoch") {
    // An empty one is what a variable without a value leaves: the builder takes it for none.
    if (!value.empty() && !is_number(value))
      return bad(key, value, "a number of seconds since 1970");
  } else if (type == "local" && key == "mode") {
    std::string mode = local_mode(value);
    if (mode != "copy" && mode != "delete") return bad(key, value, "copy or delete");
  } else if ((type == "local" || type == "tar") && key == "platform-split") {
    if (!is_go_bool(value)) return bad(key, value, "true or false");
  }
  return {};
}

}  // namespace depot::solve

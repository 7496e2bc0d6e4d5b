#include "builder/filters.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <utility>

namespace depot::builder {
namespace {

using base::Result;
using base::Status;
using base::usage_error;
using std::chrono::nanoseconds;

constexpr size_t kMostFilters = 1000;
constexpr size_t kLongestFilter = 64 << 10;

// What a record is or is not, and the word for its opposite. BuildKit has these as fields that are
// there or are not.
constexpr std::pair<std::string_view, std::string_view> kSwitches[] = {
    {"inuse", ""},         {"mutable", "immutable"}, {"immutable", "mutable"},
    {"shared", "private"}, {"private", "shared"},
};

std::string shown(std::string_view text) {
  return "'" + std::string(text.substr(0, 100)) + "'";
}

// BuildKit's spelling of one field that is no age.
Result<std::string> field_of(std::string_view field) {
  size_t equals = field.find('=');
  if (equals == std::string_view::npos) return std::string(field);
  std::string_view key = field.substr(0, equals), value = field.substr(equals + 1);
  bool theirs = value.starts_with('=') || key.ends_with('!') || key.ends_with('~');
  if (theirs) return std::string(field);
  if (key.empty()) return usage_error("filter " + shown(field) + " names no field");
  for (const auto& [name, opposite] : kSwitches) {
    if (key != name) continue;
    if (value == "true" || value == "1") return std::string(name);
    if (value != "false" && value != "0")
      return usage_error("filter " + shown(field) + ": " + std::string(name) + " is true or false");
    if (opposite.empty())
      return usage_error("filter " + shown(field) + ": BuildKit has no word for what is not in use")
          .with_hint("list all records and look at their in_use");
    return std::string(opposite);
  }
  return std::string(key) + (key == "id" ? "~=" : "==") + std::string(value);
}

}  // namespace

// A value may be in "", // or ||, with backslashes in it.
Result<std::vector<std::string_view>> split_filter(std::string_view filter) {
  std::vector<std::string_view> out;
  size_t begin = 0;
  char quote = '\0';
  for (size_t i = 0; i < filter.size(); ++i) {
    char c = filter[i];
    if (quote != '\0') {
      if (c == '\\') ++i;
      if (c == quote) quote = '\0';
      continue;
    }
    bool value_begins = i > 0 && filter[i - 1] == '=';
    if (c == '"' || (value_begins && (c == '/' || c == '|'))) quote = c;
    if (c != ',') continue;
    out.push_back(filter.substr(begin, i - begin));
    begin = i + 1;
  }
  if (quote == '/' || quote == '|') {  // a value that only begins like that: a path
    out.clear();
    for (size_t at = 0; at <= filter.size();) {
      size_t comma = std::min(filter.find(',', at), filter.size());
      out.push_back(filter.substr(at, comma - at));
      at = comma + 1;
    }
    return out;
  }
  if (quote != '\0') return usage_error("filter " + shown(filter) + ": a quote is not closed");
  out.push_back(filter.substr(begin));
  return out;
}

Result<nanoseconds> parse_duration(std::string_view text) {
  auto bad = [&] {
    return usage_error(shown(text) + " is not a duration")
        .with_hint("write hours, minutes or seconds: 24h, 1h30m, 300ms");
  };
  constexpr std::pair<std::string_view, double> kUnits[] = {
      {"ns", 1},   {"us", 1e3}, {"\u00b5s", 1e3}, {"\u03bcs", 1e3},
      {"ms", 1e6}, {"s", 1e9},  {"m", 6e10},      {"h", 3.6e12}};
  std::string_view rest = text;
  if (rest.starts_with('+')) rest.remove_prefix(1);
  if (rest == "0") return nanoseconds(0);
  if (rest.empty()) return bad();
  double total = 0;
  while (!rest.empty()) {
    size_t digits = std::min(rest.find_first_not_of("0123456789."), rest.size());
    double value = 0;
    auto [end, error] = std::from_chars(rest.data(), rest.data() + digits, value);
    if (digits == 0 || error != std::errc() || end != rest.data() + digits) return bad();
    rest.remove_prefix(digits);
    std::string_view unit =
        rest.substr(0, std::min(rest.find_first_of("0123456789."), rest.size()));
    double factor = 0;
    for (const auto& [name, nanos] : kUnits)
      if (unit == name) factor = nanos;
    if (factor == 0) return bad();
    rest.remove_prefix(unit.size());
    total += value * factor;
  }
  if (!(total < 9.2e18)) return bad();
  return nanoseconds(static_cast<int64_t>(total));
}

Result<Filters> parse_filters(const std::vector<std::string>& given) {
  Filters out;
  bool aged = false;
  if (given.size() > kMostFilters) return usage_error("more than 1000 filters");
  for (const auto& filter : given) {
    if (filter.empty()) continue;
    if (filter.size() > kLongestFilter) return usage_error("a filter has more than 64 KiB");
    DEPOT_ASSIGN(auto fields, split_filter(filter));
    std::string wire;
    bool any = false;
    for (std::string_view field : fields) {
      std::string_view key = field.substr(0, field.find('='));
      if (field.size() > key.size() && (key == "until" || key == "unused-for")) {
        if (std::exchange(aged, true))
          return usage_error("filter " + shown(filter) + ": until is given twice");
        auto age = parse_duration(field.substr(key.size() + 1));
        if (!age.ok()) return age.status().with_prefix("filter " + std::string(key));
        out.older_than = *age;
        continue;
      }
      DEPOT_ASSIGN(std::string made, field_of(field));
      wire += (any ? "," : "") + made;
      any = true;
    }
    if (any) out.filters.push_back(std::move(wire));
  }
  return out;
}

}  // namespace depot::builder

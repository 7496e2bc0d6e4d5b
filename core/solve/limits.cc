#include "solve/limits.h"

#include <algorithm>
#include <cctype>
#include <charconv>
#include <optional>
#include <string_view>

namespace depot::solve {
namespace {

using base::Result;
using base::usage_error;
using Pair = std::pair<std::string, std::string>;

// As the kernel names them, without RLIMIT_; address space is not among them for docker.
constexpr std::string_view kUlimits[] = {"core",    "cpu",      "data",   "fsize",      "locks",
                                         "memlock", "msgqueue", "nice",   "nofile",     "nproc",
                                         "rss",     "rtprio",   "rttime", "sigpending", "stack"};
// More than any machine has; a list of them is sent to the builder.
constexpr int64_t kMostCpus = 8192;

template <class T>
std::optional<T> number(std::string_view text) {
  if (text.starts_with('+')) text.remove_prefix(1);
  T value{};
  auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (text.empty() || error != std::errc() || end != text.data() + text.size()) return std::nullopt;
  return value;
}

// "", "b", "k", "kb", "kib" and so on: how often 1024.
std::optional<int> power_of(std::string_view suffix) {
  std::string unit(suffix);
  std::transform(unit.begin(), unit.end(), unit.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  if (unit.empty() || unit == "b") return 0;
  size_t power = std::string_view("kmgtp").find(unit[0]);
  if (power == std::string_view::npos) return std::nullopt;
  std::string_view rest = std::string_view(unit).substr(1);
  if (!rest.empty() && rest != "b" && rest != "ib") return std::nullopt;
  return static_cast<int>(power) + 1;
}

bool is_cpuset(std::string_view text) {
  while (!text.empty()) {
    size_t comma = std::min(text.find(','), text.size());
    std::string_view part = text.substr(0, comma);
    text.remove_prefix(std::min(comma + 1, text.size()));
    size_t dash = part.find('-');
    auto low = number<int64_t>(part.substr(0, dash));
    auto high = dash == std::string_view::npos ? low : number<int64_t>(part.substr(dash + 1));
    if (!low || !high || *low < 0 || *high < *low || *high > kMostCpus) return false;
  }
  return true;
}

}  // namespace

Result<int64_t> parse_size(const std::string& text) {
  auto bad = [&] {
    return usage_error("'" + text.substr(0, 100) + "' is not a size")
        .with_hint("write bytes, or a number with b, k, m or g: 64m");
  };
  size_t last = text.find_last_of("0123456789. ");
  if (last == std::string::npos) return bad();
  std::string_view all = text;
  auto value = number<double>(all.substr(0, text[last] == ' ' ? last : last + 1));
  auto power = power_of(all.substr(last + 1));
  if (!value || !power || *value < 0) return bad();
  double bytes = *value;
  for (int i = 0; i < *power; ++i) bytes *= 1024;
  if (!(bytes < 9.2e18)) return bad();
  return static_cast<int64_t>(bytes);
}

Result<Pair> parse_ulimit(const std::string& spec) {
  auto bad = [&](const std::string& why) {
    return usage_error("ulimit '" + spec.substr(0, 100) + "': " + why)
        .with_hint("write NAME=SOFT[:HARD], as in nofile=1024:2048");
  };
  size_t equals = spec.find('=');
  if (equals == std::string::npos) return bad("it has no value");
  std::string name = spec.substr(0, equals);
  if (std::find(std::begin(kUlimits), std::end(kUlimits), name) == std::end(kUlimits))
    return bad("there is no limit '" + name + "'");
  std::string_view value = std::string_view(spec).substr(equals + 1);
  size_t colon = value.find(':');
  auto soft = number<int64_t>(value.substr(0, colon));
  auto hard = colon == std::string_view::npos ? soft : number<int64_t>(value.substr(colon + 1));
  if (!soft || !hard) return bad("a limit is a number");
  if (*hard != -1 && (*soft == -1 || *soft > *hard))
    return bad("the soft limit is above the hard one");
  return Pair(name, std::to_string(*soft) + ":" + std::to_string(*hard));
}

Result<Pair> parse_resource(const std::string& spec) {
  auto bad = [&](const std::string& why) {
    return usage_error("resource '" + spec.substr(0, 100) + "': " + why)
        .with_hint(
            "memory, memory-swap, cpu-shares, cpu-period, cpu-quota, cpuset-cpus, "
            "cpuset-mems; as in memory=2g");
  };
  auto trim = [](std::string text) {
    text.erase(0, text.find_first_not_of(" \t"));
    text.erase(text.find_last_not_of(" \t") + 1);
    return text;
  };
  size_t equals = spec.find('=');
  if (equals == std::string::npos) return bad("it is not key=value");
  std::string key = trim(spec.substr(0, equals));
  std::string value = trim(spec.substr(equals + 1));
  if (key == "memory" || key == "memory-swap") {
    std::string attr = key == "memory" ? "memory" : "memswap";
    if (key == "memory-swap" && value == "-1") return Pair(attr, value);
    auto size = parse_size(value);
    if (!size.ok()) return bad(size.status().message());
    return Pair(attr, *size == 0 ? "" : std::to_string(*size));
  }
  if (key == "cpu-shares" || key == "cpu-period" || key == "cpu-quota") {
    auto count = number<int64_t>(value);
    if (!count || *count < 0) return bad("'" + value + "' is not a number");
    return Pair("cpu" + key.substr(4), *count == 0 ? "" : std::to_string(*count));
  }
  if (key == "cpuset-cpus" || key == "cpuset-mems") {
    if (!is_cpuset(value)) return bad("'" + value + "' is not a list like 0-3,5");
    return Pair("cpuset" + key.substr(7), value);
  }
  return bad("there is no resource '" + key + "'");
}

}  // namespace depot::solve

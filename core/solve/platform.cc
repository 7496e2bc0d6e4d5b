#include "solve/platform.h"

#include <algorithm>
#include <cctype>
#include <string_view>
#include <utility>
#include <vector>

namespace depot::solve {
namespace {

using base::Result;
using base::Status;

constexpr std::string_view kSystems[] = {
    "aix",   "android", "darwin", "dragonfly", "freebsd", "hurd",    "illumos", "ios", "js",
    "linux", "nacl",    "netbsd", "openbsd",   "plan9",   "solaris", "windows", "zos"};
constexpr std::string_view kArchitectures[] = {
    "386",     "amd64",   "amd64p32", "arm",    "armbe",  "arm64",    "arm64be",   "ppc64",
    "ppc64le", "loong64", "mips",     "mipsle", "mips64", "mips64le", "mips64p32", "mips64p32le",
    "ppc",     "riscv",   "riscv64",  "s390",   "s390x",  "sparc",    "sparc64",   "wasm"};

#if defined(__aarch64__)
constexpr std::string_view kHere = "arm64";
#else
constexpr std::string_view kHere = "amd64";
#endif

template <size_t N>
bool is_one_of(std::string_view text, const std::string_view (&list)[N]) {
  return std::find(std::begin(list), std::end(list), text) != std::end(list);
}

bool made_of(std::string_view text, std::string_view more) {
  return !text.empty() && std::all_of(text.begin(), text.end(), [&](unsigned char c) {
    return std::isalnum(c) || more.find(static_cast<char>(c)) != std::string_view::npos;
  });
}

std::string lower(std::string_view text) {
  std::string out(text);
  std::transform(out.begin(), out.end(), out.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return out;
}

// The names that go by several spellings, and the variants that go without saying.
void normalise(std::string& architecture, std::string& variant) {
  if (architecture == "i386") {
    architecture = "386";
    variant = "";
  } else if (architecture == "x86_64" || architecture == "x86-64" || architecture == "amd64") {
    architecture = "amd64";
    if (variant == "v1") variant = "";
  } else if (architecture == "aarch64" || architecture == "arm64") {
    architecture = "arm64";
    if (variant == "8" || variant == "v8" || variant == "v8.0") variant = "";
    if (variant == "9" || variant == "9.0" || variant == "v9.0") variant = "v9";
  } else if (architecture == "armhf" || architecture == "armel") {
    variant = architecture == "armhf" ? "v7" : "v6";
    architecture = "arm";
  } else if (architecture == "arm") {
    if (variant.empty() || variant == "7") variant = "v7";
    if (variant == "5" || variant == "6" || variant == "8") variant = "v" + variant;
  }
}

// "windows(10.0.17763+win32k)": the name, and what is in the parentheses as it came.
bool split_system(std::string_view text, std::string& name, std::string& options) {
  size_t open = text.find('(');
  if (!made_of(text.substr(0, open), "_-")) return false;
  name = lower(text.substr(0, open));
  if (name == "macos") name = "darwin";
  if (open == std::string_view::npos) return true;
  std::string_view inside = text.substr(open + 1);
  if (!inside.ends_with(')')) return false;
  inside.remove_suffix(1);
  if (!inside.empty() && !made_of(inside, "_.%+-")) return false;
  if (inside.ends_with('+') || inside.find("++") != std::string_view::npos) return false;
  if (!inside.empty()) options = "(" + std::string(inside) + ")";
  return true;
}

}  // namespace

Result<std::string> canonical_platform(const std::string& specifier) {
  auto bad = [&](const std::string& why) {
    return base::usage_error("platform '" + specifier.substr(0, 100) + "' is not valid: " + why)
        .with_hint("write it as linux/amd64 or linux/arm/v7");
  };
  if (lower(specifier) == "local") return "linux/" + std::string(kHere);
  std::vector<std::string_view> parts;
  for (std::string_view rest = specifier;;) {
    size_t slash = rest.find('/');
    parts.push_back(rest.substr(0, slash));
    if (slash == std::string_view::npos) break;
    rest.remove_prefix(slash + 1);
    if (parts.size() > 3) break;
  }
  if (parts.size() > 3) return bad("it has more than three parts");
  std::string system, options, architecture, variant;
  if (!split_system(parts[0], system, options)) return bad("its system is not a name");
  for (size_t i = 1; i < parts.size(); ++i)
    if (!made_of(parts[i], "_.-")) return bad("an architecture is letters and digits");
  if (parts.size() > 1) {
    architecture = lower(parts[1]);
    if (parts.size() > 2) variant = lower(parts[2]);
  } else if (is_one_of(system, kSystems)) {
    architecture = kHere;
  } else {
    architecture = std::exchange(system, "linux");
    options = "";
    normalise(architecture, variant);
    if (!is_one_of(architecture, kArchitectures))
      return bad("it is neither a system nor an architecture that is known");
  }
  normalise(architecture, variant);
  return system + options + "/" + architecture + (variant.empty() ? "" : "/" + variant);
}

Result<std::string> canonical_platforms(const std::string& list) {
  std::string out;
  for (size_t start = 0; start <= list.size();) {
    size_t end = std::min(list.find(',', start), list.size());
    DEPOT_ASSIGN(std::string one, canonical_platform(list.substr(start, end - start)));
    out += (out.empty() ? "" : ",") + one;
    start = end + 1;
  }
  return out;
}

}  // namespace depot::solve

#include "buildkit/version.h"

#include <algorithm>
#include <climits>
#include <cstdio>

#include "buildkit/control.h"

namespace depot::buildkit {
namespace {

constexpr Version kNewest{INT_MAX, 0};

Version version_of(const Worker& worker) {
  const std::string& text = worker.buildkit_version;
  if (text.empty()) return {};
  Version version;
  const char* format = text[0] == 'v' ? "v%9d.%9d" : "%9d.%9d";
  if (std::sscanf(text.c_str(), format, &version.major, &version.minor) != 2) return kNewest;
  return version == Version{} ? kNewest : version;  // "v0.0.0+unknown"
}

}  // namespace

std::string Version::text() const {
  return std::to_string(major) + "." + std::to_string(minor);
}

Version oldest_version(const std::vector<Worker>& workers) {
  Version oldest = kNewest;
  for (const auto& worker : workers) oldest = std::min(oldest, version_of(worker));
  return oldest;
}

base::Status check_version(const std::string& feature, const Version& since,
                           const std::vector<Worker>& workers, std::string_view hint) {
  Version version = oldest_version(workers);
  if (version >= since) return {};
  std::string its = version == Version{} ? "older than 0.11" : version.text();
  return base::Status(base::Code::kFailedPrecondition, base::Hop::kMachine,
                      "this builder cannot do " + feature + ": BuildKit can since " + since.text() +
                          ", and it is " + its)
      .with_hint(hint.empty() ? "use a newer builder" : std::string(hint));
}

}  // namespace depot::buildkit

#include <algorithm>
#include <array>
#include <string>
#include <string_view>

#include "depotapi/resolve.h"
#include "depotapi/text.h"

namespace depot::depotapi {
namespace {

#if defined(__x86_64__)
constexpr std::string_view kArchitecture = "amd64";
#elif defined(__aarch64__)
constexpr std::string_view kArchitecture = "arm64";
#elif defined(__riscv)
constexpr std::string_view kArchitecture = "riscv64";
#elif defined(__powerpc64__)
constexpr std::string_view kArchitecture = "ppc64le";
#elif defined(__s390x__)
constexpr std::string_view kArchitecture = "s390x";
#elif defined(__i386__)
constexpr std::string_view kArchitecture = "386";
#elif defined(__arm__)
constexpr std::string_view kArchitecture = "arm";
#else
constexpr std::string_view kArchitecture = "unknown";
#endif
#if defined(__APPLE__)
constexpr std::string_view kSystem = "darwin";
#else
constexpr std::string_view kSystem = "linux";
#endif

// Set by the continuous-integration services people use; most set CI too.
constexpr std::array<std::string_view, 14> kMarks = {
    "GITHUB_ACTIONS", "GITLAB_CI", "CIRCLECI",           "BUILDKITE", "JENKINS_URL",
    "TRAVIS",         "TF_BUILD",  "TEAMCITY_VERSION",   "APPVEYOR",  "BITBUCKET_BUILD_NUMBER",
    "DRONE",          "SEMAPHORE", "CODEBUILD_BUILD_ID", "WOODPECKER"};

bool in_ci(const base::Environment& environment) {
  std::string ci = environment.get_or("CI", "");
  if (!ci.empty() && ci != "false" && ci != "0") return true;
  return std::any_of(kMarks.begin(), kMarks.end(),
                     [&](std::string_view mark) { return !environment.get_or(mark, "").empty(); });
}

}  // namespace

std::string user_agent(const std::string& product, const base::Environment& environment) {
  std::string agent("libdepot/" DEPOT_VERSION "/");
  agent += kSystem;
  agent += '/';
  agent += kArchitecture;
  agent += in_ci(environment) ? "/ci" : "/terminal";
  if (std::string extra(trimmed(clean_line(product, 100))); !extra.empty()) agent += " " + extra;
  return agent;
}

}  // namespace depot::depotapi

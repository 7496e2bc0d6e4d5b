#include "localbuilder/spawn.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <string_view>

#include "base/fd.h"
#include "base/process.h"
#include "base/wait.h"

namespace depot::localbuilder {

using base::Code;
using base::Hop;
using base::Status;

namespace {

constexpr size_t kMaxReport = 16 << 10;

bool passes(std::string_view name) {
  static constexpr std::string_view kNames[] = {
      "PATH",        "HOME",       "USER",        "LOGNAME",       "LANG",        "TZ",
      "TMPDIR",      "http_proxy", "https_proxy", "no_proxy",      "all_proxy",   "HTTP_PROXY",
      "HTTPS_PROXY", "NO_PROXY",   "ALL_PROXY",   "SSL_CERT_FILE", "SSL_CERT_DIR"};
  static constexpr std::string_view kPrefixes[] = {"LC_", "XDG_", "LIBDEPOT_"};
  return std::find(std::begin(kNames), std::end(kNames), name) != std::end(kNames) ||
         std::any_of(std::begin(kPrefixes), std::end(kPrefixes), [&](std::string_view prefix) {
           return name.substr(0, prefix.size()) == prefix;
         });
}

// The last lines of a file, for an error about a daemon that died without a word.
std::string tail_of(const std::string& path) {
  base::UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC));
  struct stat st;
  if (!fd.valid() || ::fstat(fd.get(), &st) != 0) return "";
  char buffer[2048];
  off_t from = std::max<off_t>(0, st.st_size - static_cast<off_t>(sizeof buffer));
  ssize_t n = ::pread(fd.get(), buffer, sizeof buffer, from);
  return n > 0 ? std::string(buffer, static_cast<size_t>(n)) : "";
}

Status parse_report(const std::string& report, const std::string& path,
                    const std::string& log_path) {
  if (report == "ready\n") return base::ok_status();
  std::string_view text = report;
  constexpr std::string_view kError = "error ";
  if (text.substr(0, kError.size()) != kError) {
    base::Error error;
    error.code = Code::kUnavailable;
    error.hop = Hop::kBuilder;
    error.message = path + " ended before it was ready";
    error.hint = "see " + log_path;
    error.log_tail = tail_of(log_path);
    return Status(std::move(error));
  }
  text.remove_prefix(kError.size());
  int32_t number = 0;
  auto [end, problem] = std::from_chars(text.data(), text.data() + text.size(), number);
  // "error 0" would be an error that calls itself none.
  if (problem != std::errc() || number == 0) number = static_cast<int32_t>(Code::kUnknown);
  text.remove_prefix(static_cast<size_t>(end - text.data()));
  if (!text.empty()) text.remove_prefix(1);
  size_t line = text.find('\n');
  Status status(base::code_from_number(number), Hop::kBuilder, std::string(text.substr(0, line)));
  if (line == std::string_view::npos) return status;
  text.remove_prefix(line + 1);
  constexpr std::string_view kHint = "hint ";
  if (text.substr(0, kHint.size()) != kHint) return status;
  text.remove_prefix(kHint.size());
  return status.with_hint(std::string(text.substr(0, text.find('\n'))));
}

}  // namespace

std::vector<std::string> daemon_environment(const base::Environment& environment) {
  std::vector<std::string> out;
  for (const auto& [name, value] : environment.all()) {
    if (passes(name)) out.push_back(name + "=" + value);
  }
  return out;
}

Status spawn_daemon(const std::string& path, const std::vector<std::string>& arguments,
                    const base::Environment& environment, const std::string& log_path,
                    const base::Cancel& cancel, std::chrono::steady_clock::time_point deadline) {
  int ends[2];
  if (::pipe2(ends, O_CLOEXEC) != 0) return base::errno_error(errno, "cannot make a pipe");
  base::UniqueFd reader(ends[0]), writer(ends[1]);
  ::fcntl(reader.get(), F_SETFL, O_NONBLOCK);
  base::UniqueFd null(::open("/dev/null", O_RDONLY | O_CLOEXEC));
  base::UniqueFd log(::open(log_path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600));
  if (!null.valid() || !log.valid()) return base::errno_error(errno, "cannot open " + log_path);

  base::Program program;
  program.arguments = {path};
  program.arguments.insert(program.arguments.end(), arguments.begin(), arguments.end());
  program.arguments.insert(program.arguments.end(),
                           {"--detach", "--ready-fd", std::to_string(kReadyFd)});
  program.variables = daemon_environment(environment);
  program.files = {{null.get(), 0}, {log.get(), 1}, {log.get(), 2}, {writer.get(), kReadyFd}};
  program.session = true;
  DEPOT_ASSIGN(auto first, base::Child::start(program));
  writer.reset();

  base::Waiter waiter(cancel, deadline, Hop::kBuilder);
  std::string report;
  Status outcome = base::ok_status();
  for (;;) {
    char buffer[2048];
    ssize_t n = ::read(reader.get(), buffer, sizeof buffer);
    if (n > 0 && report.size() < kMaxReport) report.append(buffer, static_cast<size_t>(n));
    if (n == 0) break;
    if (n < 0 && errno == EAGAIN) {
      auto told = waiter.wait(reader.get(), POLLIN, "waiting for the local builder to start");
      if (told.ok()) continue;
      outcome = told.status();
      break;
    }
    if (n < 0 && errno != EINTR) break;
  }
  first->reap();  // it ends right after its fork
  if (!outcome.ok()) return outcome;
  return parse_report(report, path, log_path);
}

}  // namespace depot::localbuilder

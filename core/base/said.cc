#include "base/said.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include <cerrno>

namespace depot::base {
namespace {

constexpr size_t kMaxSaid = 64 << 10;
constexpr size_t kMaxTail = 4 << 10;
constexpr size_t kMaxLine = 500;

}  // namespace

// A write beyond the size fails, which no program minds on its standard error.
Result<Said> Said::create() {
  Said said;
  said.file_.reset(::memfd_create("libdepot-said", MFD_CLOEXEC | MFD_ALLOW_SEALING));
  if (!said.file_.valid() || ::ftruncate(said.fd(), kMaxSaid) != 0 ||
      ::fcntl(said.fd(), F_ADD_SEALS, F_SEAL_GROW | F_SEAL_SHRINK) != 0)
    return errno_error(errno, "cannot make a file in memory");
  return said;
}

std::string Said::tail() const {
  std::string text(kMaxSaid, '\0');
  ssize_t n = ::pread(fd(), text.data(), text.size(), 0);
  text.resize(n > 0 ? static_cast<size_t>(n) : 0);
  size_t last = text.find_last_not_of(std::string_view("\0\r\n ", 4));
  text.resize(last == std::string::npos ? 0 : last + 1);
  if (text.size() > kMaxTail) text.erase(0, text.size() - kMaxTail);
  return text;
}

std::string one_line(const std::string& text) {
  std::string line;
  for (char c : text) {
    bool blank = static_cast<unsigned char>(c) <= ' ' || c == 0x7f;
    if (!blank)
      line.push_back(c);
    else if (!line.empty() && line.back() != ' ')
      line.push_back(' ');
  }
  if (line.size() > kMaxLine) line = "..." + line.substr(line.size() - kMaxLine);
  return line;
}

std::string joined(const std::vector<std::string>& words) {
  std::string out;
  for (const auto& word : words) out += (out.empty() ? "" : " ") + word;
  return out;
}

std::string describe(const ProgramEnd& end) {
  if (!end.known) return "has ended";
  if (end.signal != 0) return "was killed by signal " + std::to_string(end.signal);
  return "ended with exit code " + std::to_string(end.exit_code);
}

}  // namespace depot::base

#include "base/small_file.h"

#include <fcntl.h>
#include <sys/stat.h>

#include <cerrno>

#include "base/fd.h"

namespace depot::base {

Result<Secret> read_small_file(const std::string& path, size_t limit) {
  UniqueFd fd(::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK | O_NOCTTY));
  struct stat info {};
  if (!fd.valid() || ::fstat(fd.get(), &info) != 0)
    return errno_error(errno, "cannot read " + path);
  if (!S_ISREG(info.st_mode))
    return Status(Code::kInvalidArgument, Hop::kLocal, path + ": not a regular file");
  auto too_large = [&] {
    return Status(Code::kResourceExhausted, Hop::kLocal,
                  path + ": larger than " + std::to_string(limit) + " bytes");
  };
  if (static_cast<uint64_t>(info.st_size) > limit) return too_large();
  // Files of /proc tell no size; one that grows meanwhile is read to the end it has then.
  std::string text(static_cast<size_t>(info.st_size) + 512, '\0');
  size_t have = 0;
  for (;;) {
    if (have == text.size()) {
      std::string larger(text.size() * 2, '\0');
      text.copy(larger.data(), have);
      wipe(text);
      text = std::move(larger);
    }
    ssize_t got = ::read(fd.get(), text.data() + have, text.size() - have);
    if (got < 0 && errno == EINTR) continue;
    int error = errno;
    if (got > 0) have += static_cast<size_t>(got);
    if (got < 0 || have > limit) {
      wipe(text);
      return got < 0 ? errno_error(error, "cannot read " + path) : too_large();
    }
    if (got == 0) break;
  }
  text.resize(have);
  return Secret::take(std::move(text));
}

}  // namespace depot::base
